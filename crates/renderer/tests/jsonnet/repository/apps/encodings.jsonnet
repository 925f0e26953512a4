local value = { name: 'shop', list: [1, 'two', null, true], nested: { 'a b': 1.5, empty: {}, none: [] }, text: 'a\nb "c"', number: '012', yes: 'yes' };
{
  base64: [std.base64('naïve'), std.base64([1, 2, 255]), std.base64Decode('c2hvcA=='), std.base64DecodeBytes('AQL/'), std.encodeUTF8('é'), std.decodeUTF8([195, 169])],
  hashes: [f('shop') for f in [std.md5, std.sha1, std.sha256, std.sha512, std.sha3]],
  json: [std.manifestJson(value), std.manifestJsonEx(value, '  '), std.manifestJsonEx(value, ' ', newline=' ', key_val_sep=':'), std.manifestJsonMinified(value)],
  yaml: [std.manifestYamlDoc(value), std.manifestYamlDoc(value, indent_array_in_object=true, quote_keys=false), std.manifestYamlStream([value, [1]]), std.manifestYamlStream([1], c_document_end=false)],
  ini: std.manifestIni({ main: { a: '1' }, sections: { s: { b: ['x', 'y'], c: true } } }),
  toml: [std.manifestToml({ a: 1, b: { c: [1, 2], d: 'x', e: [{ f: 1 }] } }), std.manifestTomlEx({ a: { b: 1 } }, '    ')],
  python: [std.manifestPython(value), std.manifestPythonVars({ a: 1, b: [true, null] })],
  xml: std.manifestXmlJsonml(['a', { href: 'x&y' }, 'text <', ['b']]),
  parsed: [std.parseJson('{"a": [1, 2.5, null, "x\\u00e9"]}'), std.parseYaml('a: 1\nb: [x, 2, true]\nc: |\n  text\n'), std.parseYaml('---\na: 1\n---\nb: 2\n')],
}
