/* Words of the language that the others do not use. */
# As in a shell.
local a = 1, b = a + 1;
local double(x) = x * 2;
local count(n) = if n == 0 then 0 else count(n - 1) tailstrict;
local deep(n) = if n == 0 then 0 else 1 + deep(n - 1);
{
  locals: [a, b, double(b), (function(x, y=x) [x, y])(1)],
  conditions: [if true then 1 else 2, if false then 1],
  tail: count(3000),
  deep: deep(150),
  slices: [[1, 2, 3, 4][1:], [1, 2, 3, 4][:2], [1, 2, 3, 4][::2], 'abcd'[1:3]],
  nested: local x = 1; { local y = x, z: y + x },
  'quoted field': self.locals[0],
  dollar: $['quoted field'],
  asserted: assert a == 1 : 'it is one'; a,
  unicode: 'ünï',
  order: { b: 1, a: 2, B: 3, 'a-b': 4 },
}
