import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import ts from 'typescript'
import { CASES } from '../faults/cases.js'

const ROOT = new URL('../../../', import.meta.url)
const ID = /\[([A-Z]+-\d+)\]/g

/** Ids of the rules, in the order of the document; a rule begins a list item. */
const document = readFileSync(new URL('docs/reference/protocol.md', ROOT), 'utf8')
const rules = [...document.matchAll(/^- \*\*\[([A-Z]+-\d+)\]\*\*/gm)].map(([, id = '']) => id)

const testFiles = readdirSync(new URL('test', ROOT), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))

/**
 * The titles of a file's tests, as far as they stand there as text: first argument of a `test(…)` or of another plain function, or, since titles may lie
 * in a table, a text that is no argument of a call. So a message of an assertion is none, and neither is a comment.
 */
function titlesOf(file: string): string[] {
  const source = ts.createSourceFile(file, readFileSync(new URL(`test/${file}`, ROOT), 'utf8'), ts.ScriptTarget.Latest, true)
  const titles: string[] = []
  const visit = (node: ts.Node): void => {
    const isText = ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node) || ts.isTemplateExpression(node)
    if (isText && mayBeTitle(node)) titles.push(node.getText(source))
    ts.forEachChild(node, visit)
  }
  visit(source)
  return titles
}

function mayBeTitle(node: ts.Expression): boolean {
  if (!ts.isCallExpression(node.parent)) return true
  const { expression, arguments: args } = node.parent
  const isTest = ts.isIdentifier(expression) || (ts.isPropertyAccessExpression(expression) && expression.name.text === 'test')
  return isTest && args[0] === node
}

const named = new Map<string, string[]>()
for (const file of testFiles) {
  for (const title of titlesOf(file)) for (const [, id = ''] of title.matchAll(ID)) named.set(id, [...(named.get(id) ?? []), file])
}

t.test('the document names each rule once', async (t) => {
  t.ok(rules.length > 40)
  t.equal(new Set(rules).size, rules.length)
  const mentioned = new Set([...document.matchAll(ID)].map(([, id]) => id))
  t.same(
    [...mentioned].filter((id) => id && !rules.includes(id)),
    [],
    'and mentions no other',
  )
})

t.test('no test names a rule that does not exist', async (t) => {
  for (const [id, files] of named) t.ok(rules.includes(id), `[${id}] in ${files.join(', ')} is no rule of docs/reference/protocol.md`)
})

for (const id of rules) {
  t.test(`a test has the id ${id} in its title`, async (t) => {
    t.ok(named.has(id), `no test title contains [${id}]`)
  })
}

t.test('each fault in test/faults/cases.ts names tests that exist', async (t) => {
  for (const [fault, file, title] of CASES) {
    // Without its quotes, up to what it fills in.
    const heads = titlesOf(`${file}.test.ts`).map((text) => text.slice(1, -1).split('${', 1).join())
    t.ok(
      heads.some((head) => head.startsWith(title) || (head.length > 10 && title.startsWith(head))),
      `${fault}: ${file} ${title}`,
    )
  }
})
