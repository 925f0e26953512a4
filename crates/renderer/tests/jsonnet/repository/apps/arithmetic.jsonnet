// Rounded where the last digit is a matter of the processor.
local near(x) = std.round(x * 1e9) / 1e9;
{
  trigonometry: [near(f(0.3)) for f in [std.sin, std.cos, std.tan, std.asin, std.acos, std.atan]],
  more: [near(std.atan2(1, 2)), near(std.hypot(3, 4)), near(std.deg2rad(180)), near(std.rad2deg(std.pi))],
  powers: [near(x) for x in [std.pow(2, 0.5), std.exp(1.5), std.log(7), std.log2(8), std.log10(1000), std.sqrt(2)]],
  parts: [std.mantissa(12.5), std.exponent(12.5), std.floor(-1.5), std.ceil(-1.5), std.round(2.5), std.abs(-3)],
  bounds: [std.max(1, 2), std.min(1, 2), std.clamp(7, 1, 5), std.sign(-4), std.mod(-7, 3), std.modulo(7, 3), -7 % 3],
  kinds: [f(3) for f in [std.isEven, std.isOdd, std.isInteger, std.isDecimal]] + [std.isDecimal(1.5)],
  of_arrays: [std.sum([1, 2, 3]), std.avg([1, 2, 4]), std.minArray([3, 1, 2]), std.maxArray([3, 1, 2])],
  numbers: [1e3, 0.1 + 0.2, 1 / 3, 123456789012, -0.5, 1.0, 1e-7, 9007199254740991, 1_000],
  bits: [6 & 3, 6 | 3, 6 ^ 3, ~6, 1 << 4, 256 >> 2],
  logic: [true && false, true || error 'not looked at', !true, std.xor(true, false), std.xnor(true, false)],
  comparisons: [1 < 2, 'a' < 'b', [1, 2] < [1, 3], 'é' > 'z', 1 == 1.0, [] == [], { a: 1 } == { a: 1 }, 1 != '1'],
}
