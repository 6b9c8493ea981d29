"""Reports: from finished images to values, tables, plots and one page, and nothing by hand."""
