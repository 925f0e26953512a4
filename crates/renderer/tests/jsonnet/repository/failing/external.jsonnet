std.extVar('none')
