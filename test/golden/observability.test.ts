import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'yaml'
import { metricTable } from '../../src/lib/metrics.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { read } from './markdown.ts'

const prefix = 'idp_bridge_'
const requests: Readonly<Record<string, { type: string; labels: readonly string[] }>> = {
  http_requests_total: { type: 'counter', labels: ['route', 'method', 'status'] },
  http_request_seconds: { type: 'histogram', labels: ['route', 'method'] },
}
const table: Readonly<Record<string, { type: string; labels: readonly string[] }>> = { ...metricTable, ...requests }

/** What is wrong with a query: a metric that is not there, a part that only histograms have, a label that it lacks. */
const faults = (query: string): string[] => {
  const wrong: string[] = []
  for (const [, name = '', matchers = ''] of query.matchAll(/\bidp_bridge_(\w+)(?:\{([^}]*)\})?/g)) {
    const isPart = /_(bucket|sum|count)$/.test(name)
    const row = table[isPart ? name.replace(/_(bucket|sum|count)$/, '') : name]
    if (row === undefined || isPart !== (row.type === 'histogram')) {
      wrong.push(prefix + name)
      continue
    }
    const grouped = [...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(','))
    const matched = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label)
    for (const label of [...grouped, ...matched].map((one) => one.trim())) {
      if (label !== 'le' && !row.labels.includes(label)) wrong.push(`${prefix}${name} has no label ${label}`)
    }
  }
  return wrong
}

test('a query that names what is not there is found', () => {
  assert.deepEqual(faults('rate(idp_bridge_no_such_total[5m])'), ['idp_bridge_no_such_total'])
  assert.deepEqual(faults('idp_bridge_decision_seconds'), ['idp_bridge_decision_seconds'])
  assert.deepEqual(faults('sum by (colour) (idp_bridge_holds_open{severity="kill"})'), [
    'idp_bridge_holds_open has no label colour',
  ])
})

test('deploy/prometheus/alerts.yml asks for metrics and labels that are there, each rule with what it is about', () => {
  const rules = listAt(parse(read('deploy/prometheus/alerts.yml')), 'groups').flatMap((group) => listAt(group, 'rules'))
  assert.ok(rules.length > 5)
  for (const rule of rules) {
    assert.deepEqual(faults(textAt(rule, 'expr')), [], textAt(rule, 'alert'))
    for (const member of ['summary', 'description']) assert.ok(textAt(rule, 'annotations', member) !== '')
  }
  const names = rules.map((rule) => textAt(rule, 'alert'))
  assert.equal(new Set(names).size, names.length)
})

test('deploy/grafana/dashboard.json asks for metrics and labels that are there, its panels beside each other', () => {
  const panels = listAt(JSON.parse(read('deploy/grafana/dashboard.json')), 'panels')
  const queries = panels
    .filter((panel) => at(panel, 'type') !== 'row')
    .flatMap((panel) => listAt(panel, 'targets').map((target) => textAt(target, 'expr')))
  assert.ok(queries.length > 15)
  for (const query of queries) assert.deepEqual(faults(query), [], query)
  const shown = new Set(queries.flatMap((query) => [...query.matchAll(/idp_bridge_\w+/g)].map(([name]) => name)))
  assert.ok(shown.size > 12)
})
