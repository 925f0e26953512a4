local numbers = std.range(1, 6);
{
  makes: [std.makeArray(3, function(i) i * i), std.repeat([1, 2], 2), std.slice(numbers, 1, 5, 2), numbers[1:4], numbers[::-1 + 3]],
  maps: [std.map(function(x) x + 1, numbers), std.mapWithIndex(function(i, x) i * x, numbers), std.filter(std.isEven, numbers), std.filterMap(std.isOdd, function(x) -x, numbers), std.flatMap(function(x) [x, x], [1, 2]), std.flatMap(function(c) c + c, 'ab')],
  folds: [std.foldl(function(a, x) a + x, numbers, 0), std.foldr(function(x, a) [x] + a, numbers, []), std.foldl(function(a, c) c + a, 'abc', '')],
  finds: [std.find(2, [1, 2, 3, 2]), std.member(numbers, 3), std.all([true, false]), std.any([true, false]), std.count([1, 1, 2], 1)],
  orders: [std.sort([3, 1, 2]), std.sort(['b', 'a']), std.sort([{ v: 2 }, { v: 1 }], keyF=function(o) o.v), std.uniq([1, 1, 2]), std.reverse(numbers), std.minArray([{ v: 2 }, { v: 1 }], keyF=function(o) o.v)],
  flat: [std.flattenArrays([[1], [2, [3]]]), std.flattenDeepArray([1, [2, [3]]]), std.join([0], [[1], [2]]), std.length(numbers)],
  removes: [std.remove([1, 2, 1], 1), std.removeAt([1, 2, 3], 1), std.prune([1, null, [], {}, { a: null, b: 1 }])],
  sets: [std.set([3, 1, 3]), std.setUnion([1, 2], [2, 3]), std.setInter([1, 2], [2, 3]), std.setDiff([1, 2], [2, 3]), std.setMember(2, [1, 2]), std.set([{ k: 2 }, { k: 1 }, { k: 2 }], keyF=function(o) o.k)],
  comprehensions: [[x * y for x in [1, 2] for y in [3, 4] if x + y != 5], [x for x in numbers if x % 2 == 0]],
  lazy: [1, error 'not looked at'][0],
  sums: [[1] + [2], 'a' + ['b']],
}
