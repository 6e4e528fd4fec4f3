"""One file per review rule: dropping a file here adds the rule everywhere."""
