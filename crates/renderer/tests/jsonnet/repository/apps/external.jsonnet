{
  text: std.extVar('text'),
  code: std.extVar('code') { more: true },
  imported: std.extVar('imported'),
}
