error 'on purpose'
