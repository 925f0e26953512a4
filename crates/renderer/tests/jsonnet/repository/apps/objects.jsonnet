local base = {
  local me = self,
  name: 'base',
  hidden:: 'secret',
  forced::: 'shown',
  greeting: 'hello ' + self.name,
  nested: { a: 1, b: { c: 2 } },
  outer: $.name,
  list: [1],
  assert std.isString(me.name) : 'the name is a text',
};
local derived = base { name: 'derived', nested+: { b+: { d: 3 } }, list+: [2], was: super.name, ['computed' + 1]: true, [null]: 'left out' };
{
  base: base,
  derived: derived,
  shown: derived { hidden::: super.hidden },
  fields: [std.objectFields(base), std.objectFieldsAll(base), std.objectFieldsEx(base, false), std.objectHas(base, 'hidden'), std.objectHasAll(base, 'hidden'), std.objectHasEx(base, 'hidden', true), 'name' in base],
  values: [std.objectValues(base.nested), std.objectValuesAll({ a:: 1, b: 2 }), std.objectKeysValues({ a: 1 }), std.objectKeysValuesAll({ a:: 1 })],
  changes: [std.objectRemoveKey({ a: 1, b: 2 }, 'a'), std.mergePatch({ a: 1, b: { c: 2, d: 3 } }, { a: null, b: { c: 4 } }), std.mapWithKey(function(k, v) k + v, { a: 1 }), std.prune({ a: null, b: { c: [] } })],
  gets: [std.get(base, 'name'), std.get(base, 'none', 'default'), std.get(base, 'hidden', inc_hidden=false), std.length(base)],
  comprehension: { [k + '-x']: std.length(k) for k in ['a', 'bb'] },
  method: { f(x, y=2):: x * y, result: self.f(3) + self.f(y=1, x=1) }.result,
  chained: { a: 1 } + { b: $.fields[3] } + { a+: 1 },
  equal: [std.equals({ a: [1] }, { a: [1] }), std.primitiveEquals(1, 1), std.type({}), base == base],
  in_super: (base { there: 'name' in super, gone: 'none' in super }).there,
}
