import { argv, cpuUsage } from 'node:process'
import { parse } from 'node:querystring'
import Fastify from 'fastify'

/**
 * The least that an introspection endpoint on Fastify is: takes the form and answers an object, given as an argument. It
 * looks at no caller and no token, counts nothing and logs nothing.
 */
const [, , answer = '{}'] = argv
const fixed: unknown = JSON.parse(answer)
const app = Fastify()
app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) => {
  done(null, parse(String(body)))
})
app.post('/oauth2/introspect', async () => fixed)
app.get('/cpu', async () => cpuUsage())
console.log(JSON.stringify({ msg: 'listening', origin: await app.listen({ host: '127.0.0.1', port: 0 }) }))
