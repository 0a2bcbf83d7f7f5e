// A site that signs citizens on with openid-client. It is told its own settings and nothing else.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT, OPENID_CLIENT } = process.env
const openid = await import(OPENID_CLIENT)
const site = `http://127.0.0.1:${PORT}`
const config = await openid.discovery(
  new URL(ISSUER),
  CLIENT_ID,
  undefined,
  openid.ClientSecretBasic(CLIENT_SECRET),
  { execute: [openid.allowInsecureRequests] }, // on one machine, for the tests
)
const pending = new Map()
const sessions = new Map()

const cookie = (request) =>
  /(?:^|; )node-site=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1] ?? ''

function answer(response, status, headers, text = '') {
  response.writeHead(status, { 'Content-Type': 'text/html; charset=utf-8', ...headers })
  response.end(text)
}

function keep(name) {
  return { 'Set-Cookie': `node-site=${name}; Path=/; HttpOnly; SameSite=Lax` }
}

async function login(request, response) {
  const [name, verifier] = [randomBytes(32).toString('base64url'), openid.randomPKCECodeVerifier()]
  const asked = { verifier, state: openid.randomState(), nonce: openid.randomNonce() }
  pending.set(name, asked)
  const address = openid.buildAuthorizationUrl(config, {
    redirect_uri: `${site}/callback`,
    scope: 'openid profile email',
    state: asked.state,
    nonce: asked.nonce,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  })
  answer(response, 303, { Location: address.href, ...keep(name) })
}

async function callback(request, response) {
  const asked = pending.get(cookie(request))
  pending.delete(cookie(request))
  if (!asked) return answer(response, 400, {}, '<h1>No login began here</h1>')
  const tokens = await openid.authorizationCodeGrant(config, new URL(request.url, site), {
    pkceCodeVerifier: asked.verifier,
    expectedState: asked.state,
    expectedNonce: asked.nonce,
    idTokenExpected: true,
  })
  const person = await openid.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
  const name = randomBytes(32).toString('base64url')
  sessions.set(name, person)
  answer(response, 303, { Location: '/', ...keep(name) })
}

function home(request, response) {
  const person = sessions.get(cookie(request))
  const name = person ? `Hello, ${person.given_name} ${person.family_name}` : 'Nobody is logged in'
  answer(response, 200, {}, `<!doctype html><title>Site</title><h1>${name}</h1>`)
}

const pages = { '/': home, '/login': login, '/callback': callback }
const server = createServer(async (request, response) => {
  const page = pages[new URL(request.url, site).pathname]
  try {
    if (page) await page(request, response)
    else answer(response, 404, {})
  } catch (error) {
    answer(response, 400, {}, `<!doctype html><title>Site</title><h1>Not logged in</h1>${error.error ?? error.code}`)
  }
})
server.listen(Number(PORT), '127.0.0.1', () => console.log('ready'))
