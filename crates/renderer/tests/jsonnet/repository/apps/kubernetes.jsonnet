local service(name) = { apiVersion: 'v1', kind: 'Service', metadata: { name: name } };
[service(name) for name in ['web', 'api']] + [{ apiVersion: 'v1', kind: 'List', items: [service('db')] }]
