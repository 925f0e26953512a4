{ assert self.a == 2 : 'a is two', a: 1 }
