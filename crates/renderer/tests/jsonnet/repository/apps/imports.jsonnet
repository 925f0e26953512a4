local shop = import 'shop.libsonnet';
{
  beside: import 'beside.json',
  library: shop.deployment('web'),
  above: (import '../lib/shop.libsonnet').name,
  inner: shop.inner,
  text: importstr '../lib/text.txt',
  bytes: importbin '../lib/bytes.dat',
  searched: import 'vendored.libsonnet',
  first: import 'only-first.libsonnet',
  from_root: import 'lib/inner/constant.libsonnet',
}
