"""Where the tasks' data come from: what reads the files of each data set."""
