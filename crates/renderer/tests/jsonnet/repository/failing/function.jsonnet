{ f(x): x }.f
