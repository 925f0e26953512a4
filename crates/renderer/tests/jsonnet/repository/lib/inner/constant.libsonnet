{ constant: 42, beside: import 'beside.libsonnet', file: std.thisFile }
