/** The words of a transcript: what was asked last, and what was answered. Written by strangers: anything may stand there. Pure. */

interface Part { readonly type?: unknown, readonly text?: unknown }

const textOf = (content: unknown): string => typeof content === 'string' ? content : Array.isArray(content) ? (content as Part[]).map((part) => typeof part?.text === 'string' ? part.text : '').join(' ') : ''

function parsed (text: string): unknown {
  try { return JSON.parse(text) } catch { return null }
}

/** The last turn of the user's; empty where it cannot be told. */
export function questionOf (request: string): string {
  const body = parsed(request) as { messages?: unknown } | null
  const turns = Array.isArray(body?.messages) ? body.messages as { role?: unknown, content?: unknown }[] : []
  return textOf(turns.findLast((turn) => turn?.role === 'user')?.content)
}

interface Choice { readonly index?: unknown, readonly message?: { content?: unknown }, readonly delta?: { content?: unknown } }

/** One text a choice; none where it is no answer. A body, one choice of a body, or the frames of a stream. */
export function answersOf (answer: string): string[] {
  if (answer.startsWith('{')) {
    const body = parsed(answer) as { choices?: unknown, message?: unknown } | null
    const choices = Array.isArray(body?.choices) ? body.choices as Choice[] : body ? [body as Choice] : []
    return choices.map((choice) => textOf(choice?.message?.content)).filter((text) => text !== '')
  }
  const texts = new Map<number, string>()
  for (const line of answer.split('\n')) {
    if (!line.startsWith('data: {')) continue
    const chunk = parsed(line.slice('data: '.length)) as { choices?: unknown } | null
    for (const choice of Array.isArray(chunk?.choices) ? chunk.choices as Choice[] : []) {
      const index = typeof choice?.index === 'number' ? choice.index : 0
      texts.set(index, (texts.get(index) ?? '') + textOf(choice?.delta?.content))
    }
  }
  return [...texts.values()].filter((text) => text !== '')
}
