"""Review rules: what an auditor should look at first. A hit is a question, not a verdict."""
