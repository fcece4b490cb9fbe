/** A section of a document: its heading, the JSON examples in it, and the rest of its text. */
export interface Section {
  readonly heading: string
  readonly examples: readonly Readonly<Record<string, unknown>>[]
  readonly text: string
}

/** A specification in Markdown, to be held against what the hub does. */
export class SpecDocument {
  readonly sections: readonly Section[]

  constructor(text: string) {
    this.sections = text
      .split(/^#+ /m)
      .slice(1)
      .map((part) => {
        const [heading = '', ...lines] = part.split('\n')
        const body = lines.join('\n')
        const examples = [...body.matchAll(/^\x60{3}json\n(.*?)^\x60{3}$/gms)].map(([, json = '']) => JSON.parse(json))
        return { heading, examples, text: body }
      })
  }

  sectionOf(heading: string): Section {
    const found = this.sections.find((section) => section.heading === heading)
    if (!found) throw new Error(`the document has no section ${heading}`)
    return found
  }

  /** The items of a section's list, numbered or not, without their marks. */
  itemsOf(heading: string): string[] {
    return [...this.sectionOf(heading).text.matchAll(/^(?:\d+\.|-) (.+)$/gm)].map(([, item = '']) => item)
  }

  /** The rows of a section's table without its head: names in backticks, and what is said of them. */
  rowsOf(heading: string): [name: string, description: string][] {
    return [...this.sectionOf(heading).text.matchAll(/^\| `(\w+)` \| (.+) \|$/gm)].map(([, name = '', text = '']) => [name, text])
  }
}
