local values = [null, true, 1, 'a', [], {}, function(x) x];
{
  types: [std.type(v) for v in values],
  tests: [[f(v) for v in values] for f in [std.isArray, std.isBoolean, std.isFunction, std.isNull, std.isNumber, std.isObject, std.isString]],
  id: std.id(5),
  traced: std.trace('a word', 6),
  asserted: std.assertEqual(1, 1),
  file: std.thisFile,
  resolved: std.resolvePath('a/b.txt', 'c.txt'),
  native: std.native('none') == null,
}
