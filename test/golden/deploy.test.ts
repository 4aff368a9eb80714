import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { configs } from '../../adapters/index.ts'
import { parseConfig } from '../../src/config.ts'
import { read } from './markdown.ts'

const folder = 'deploy/kubernetes'

test('deploy/kubernetes: one writer, no rights, a root file system that nothing writes to, probes of ours', () => {
  const container = z.object({
    securityContext: z.object({
      allowPrivilegeEscalation: z.literal(false),
      readOnlyRootFilesystem: z.literal(true),
      capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
    }),
    livenessProbe: z.object({ httpGet: z.object({ path: z.literal('/healthz') }) }),
    readinessProbe: z.object({ httpGet: z.object({ path: z.literal('/readyz') }) }),
    volumeMounts: z.array(z.object({ mountPath: z.string(), readOnly: z.boolean().optional() })),
  })
  const deployment = z.object({
    spec: z.object({
      replicas: z.literal(1),
      strategy: z.object({ type: z.literal('Recreate') }),
      template: z.object({
        spec: z.object({
          automountServiceAccountToken: z.literal(false),
          terminationGracePeriodSeconds: z.number().min(25),
          securityContext: z.object({ runAsNonRoot: z.literal(true), runAsUser: z.number().min(1) }),
          containers: z.tuple([container]),
        }),
      }),
    }),
  })
  const { spec } = deployment.parse(parse(read(`${folder}/deployment.yaml`)))
  const [{ volumeMounts }] = spec.template.spec.containers
  const writable = volumeMounts.filter((mount) => mount.readOnly !== true).map((mount) => mount.mountPath)
  assert.deepEqual(writable, ['/data', '/tmp'])
  const { resources } = z.object({ resources: z.array(z.string()) }).parse(parse(read(`${folder}/kustomization.yaml`)))
  for (const file of resources) assert.ok(read(`${folder}/${file}`).includes('kind:'), file)
})

test('deploy/kubernetes: the configuration is one that the daemon takes, observing, on the volume of the image', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const files = { read: () => pem, stamp: () => '1' }
  const config = parseConfig(read(`${folder}/bridge.yaml`), { env: {}, adapterKinds: configs, files })
  assert.equal(config.store.url, 'sqlite:/data/bridge.db')
  assert.deepEqual(
    Object.values(config.adapters).map(({ mirror }) => mirror),
    ['observe'],
  )
})

test('Dockerfile: the pinned Node of the tests, no root, no shell in what it starts, health without curl', () => {
  const text = read('Dockerfile')
  const { devDependencies } = z
    .object({ devDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(read('package.json')))
  assert.ok(text.includes(`NODE=node:${devDependencies['node']}-bookworm-slim`))
  const last = text.slice(text.lastIndexOf('\nFROM '))
  assert.match(last, /^USER 1000:1000$/m)
  assert.match(last, /^VOLUME \/data$/m)
  assert.match(last, /^STOPSIGNAL SIGTERM$/m)
  assert.match(last, /^ENTRYPOINT \["\/usr\/local\/bin\/node", "\/app\/dist\/src\/main\.js"\]$/m)
  assert.match(last, /HEALTHCHECK [^\n]*\\\n {2}CMD \["\/usr\/local\/bin\/node",/)
  assert.ok(!/\bcurl\b|\bRUN\b/.test(last), 'nothing is installed into what runs')
  assert.match(read('.dockerignore'), /^\*$/m)
})
