import 'none.libsonnet'
