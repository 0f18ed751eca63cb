import { readFileSync, writeFileSync } from 'node:fs'
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const OS = { darwin: 'darwin', mac: 'darwin', win32: 'win32', win: 'win32', linux: 'linux', android: 'android', freebsd: 'freebsd', openharmony: 'openharmony', netbsd:'netbsd', openbsd:'openbsd', sunos:'sunos', aix:'aix' }
const CPU = { arm64: 'arm64', x64: 'x64', ia32: 'ia32', arm: 'arm', armv7l: 'arm', ppc64: 'ppc64', riscv64: 'riscv64', s390x: 's390x', loong64:'loong64',mips64el:'mips64el' }
const overrides = JSON.parse(readFileSync('package.json','utf8')).overrides ?? {}
let added = []
for (const [where, pkg] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(pkg.optionalDependencies ?? {})) {
    const alias = overrides[where.split('node_modules/').pop()]?.[name]
    const at = `node_modules/${name}`
    if (lock.packages[at] || lock.packages[where + '/' + at]) continue
    const version = (alias ?? range).replace(/^npm:.*@/, '')
    const real = alias ? alias.replace(/^npm:/, '').replace(/@[^@]*$/, '') : name
    const words = real.split(/[-/_]/)
    const os = words.map((w) => OS[w]).find(Boolean), cpu = words.map((w) => CPU[w]).find(Boolean)
    added.push([at, { ...(real !== name && { name: real }), version, ...(os && { os: [os] }), ...(cpu && { cpu: [cpu] }), optional: true }])
  }
}
for (const [at, v] of added) lock.packages[at] = v
for (const p of Object.values(lock.packages)) if (!p.link) delete p.resolved
const sorted = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0))
lock.packages = sorted
writeFileSync('package-lock.json', JSON.stringify(lock, null, 2) + '\n')
console.log(added.length, added.filter(([,v])=>!v.os).map(a=>a[0]))
