import assert from 'node:assert/strict'
import type { Adapter, Page } from '../../src/core/adapter.ts'
import { signal } from './tenant.ts'

/** One pass of the change feed, to its end. */
export async function pass(adapter: Adapter, since?: string) {
  const pages: Page[] = []
  for await (const page of adapter.changes(since, signal())) pages.push(page)
  const checkpoint = pages.at(-1)?.checkpoint
  assert.ok(checkpoint)
  return {
    checkpoint,
    sightings: pages.flatMap((page) => page.sightings),
    touched: pages.flatMap((page) => page.touched),
    place: JSON.parse(checkpoint),
  }
}
