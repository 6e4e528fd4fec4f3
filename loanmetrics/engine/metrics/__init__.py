"""One file per metric: dropping a file here adds the metric everywhere."""
