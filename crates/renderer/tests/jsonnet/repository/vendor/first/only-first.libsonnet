'only first'
