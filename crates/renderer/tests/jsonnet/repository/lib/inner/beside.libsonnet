'beside the constant'
