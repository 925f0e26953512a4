local text = 'The quick brown fox — naïve ✓';
{
  cases: [std.asciiLower(text), std.asciiUpper(text), std.equalsIgnoreCase('Ab', 'aB')],
  parts: [std.substr(text, 4, 5), std.length(text), text[4], text[4:9], text[::7], text[-3:]],
  ends: [std.startsWith(text, 'The'), std.endsWith(text, 'x'), std.stripChars('--a--', '-'), std.lstripChars('--a--', '-'), std.rstripChars('--a--', '-'), std.trim('  a\t\n')],
  splits: [std.split('a,b,,c', ','), std.splitLimit('a,b,c', ',', 1), std.splitLimitR('a,b,c', ',', 1), std.lines(['a', 'b']), std.join('-', ['a', 'b', null, 'c']), std.deepJoin(['a', ['b', ['c']]])],
  changes: [std.strReplace('a.b.c', '.', '::'), std.reverse(['a', 'bc']), std.repeat('ab', 3), std.stringChars('añ'), std.char(8226), std.codepoint('•')],
  finds: [std.findSubstr('a', 'banana'), std.isEmpty(''), std.member('banana', 'n'), std.contains(['a'], 'a'), std.count(['a', 'b', 'a'], 'a')],
  numbers: [std.parseInt('-42'), std.parseOctal('755'), std.parseHex('fF'), std.toString({ a: [1, true, null, 'x'] }), '' + 1.5, 'a' + 1, 1 + 'a'],
  escapes: [f('it\'s "<&>" $x\n\t\\ \u0001é') for f in [std.escapeStringBash, std.escapeStringDollars, std.escapeStringJson, std.escapeStringPython, std.escapeStringXML]],
  formats: [
    std.format('%s|%d|%5.2f|%05d|%-6s|%+d|%x|%X|%o|%e|%g|%c|%%', ['a', 42, 3.14159, 7, 'left', 3, 255, 255, 8, 12345.678, 0.0001, 'c']),
    '%(name)s has %(count)03d' % { name: 'shop', count: 5 },
    '%s' % [[1, { b: 2, a: 1 }]],
    '%*d|%.*f' % [6, 42, 2, 1.005],
    '%#x %#o % d %5s%%' % [255, 8, 5, 'r'],
    '%i %u %s %s' % [1.9, 2.1, true, null],
    '%g %g %G %E' % [1e10, 123456, 1e-10, 1.5],
  ],
  quotes: ["double 'single'", 'single "double"', @'raw \n ''quoted''', @"raw ""quoted""", '\u00e9\t\/', |||
    a block
      indented

    ends
  |||, |||-
    without the last line's end
  |||],
}
