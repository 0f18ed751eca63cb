/** Knows which methods a path takes, so that a wrong method is told from a path that does not exist. Asked only where nothing was found. */
import type { FastifyInstance } from 'fastify'
import plugin from 'fastify-plugin'

declare module 'fastify' {
  interface FastifyInstance {
    /** What may be done with this path, without a query; empty where it does not exist. */
    methodsAt (path: string): readonly string[]
  }
}

const covers = (route: readonly string[], path: readonly string[]): boolean =>
  (route.at(-1) === '*' ? path.length >= route.length : path.length === route.length) && route.every((part, at) => part === '*' || part === path[at] || (part.startsWith(':') && path[at] !== ''))

export default plugin(async (app: FastifyInstance) => {
  const routes = new Map<string, { readonly parts: readonly string[], readonly methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const methods = [method].flat().filter((one) => one !== 'OPTIONS')
    if (methods.length === 0) return
    let route = routes.get(url)
    if (!route) routes.set(url, route = { parts: url.split('/'), methods: new Set() })
    for (const one of methods) route.methods.add(one)
  })
  app.decorate('methodsAt', (path: string) => {
    const parts = path.split('/')
    return [...new Set([...routes.values()].flatMap((route) => covers(route.parts, parts) ? [...route.methods] : []))].sort()
  })
}, { name: 'methods' })
