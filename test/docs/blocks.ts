import { globSync } from 'node:fs'
import { read, root } from '../golden/markdown.ts'

export const pages: readonly string[] = ['README.md', ...globSync('docs/**/*.md', { cwd: root }).toSorted()]

/** Blocks of shell commands on a page, in order, with the indentation of their list taken away. */
export const shellBlocks = (page: string): readonly string[] =>
  [...read(page).matchAll(/^( *)```sh\n([\s\S]*?)^ *```$/gm)].map(([, indent = '', body = '']) =>
    body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  )

/** Commands in running text, where they can be run as they stand. */
export const inlineCommands = (page: string): readonly string[] =>
  [
    ...read(page)
      .replaceAll(/^ *```[\s\S]*?^ *```$/gm, '')
      .matchAll(/`((?:idp-bridge|npm) [^`]+)`/g),
  ]
    .map(([, command = '']) => command.replaceAll('\n', ' '))
    .filter((command) => !/[…<>[\]|]/.test(command))
