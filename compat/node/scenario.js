// What every Node driver shares: the records, the comparison and the STEP lines of ../README.md.
'use strict'

const bootstrap = process.env.OTTLA_BOOTSTRAP
const prefix = process.env.OTTLA_PREFIX
const PARTITIONS = 4
const DEADLINE_MS = 40000
let failed = false

// Deterministic records: every tenth is a tombstone, every seventh is long enough to be worth compressing.
function records(tag) {
  return Array.from({ length: 200 }, (_, i) => ({
    partition: i % PARTITIONS,
    key: `key-${i}`,
    value: i % 10 === 9 ? null : `${tag}-${i} `.repeat(i % 7 === 0 ? 60 : 1),
    headers: i % 3 === 0 ? [tag, 'twice'] : [],
  }))
}

// Every record once, in the order of its partition.
function compare(sent, got) {
  for (let p = 0; p < PARTITIONS; p++) {
    const want = sent.filter(r => r.partition === p)
    const have = got.filter(r => r.partition === p)
    for (let i = 0; i < Math.min(want.length, have.length); i++) {
      const [a, b] = [JSON.stringify(want[i]), JSON.stringify(have[i])]
      if (a !== b) throw new Error(`partition ${p}, record ${i}: sent ${a}, got ${b}`)
    }
    if (want.length !== have.length) throw new Error(`partition ${p}: sent ${want.length} records, got ${have.length}`)
  }
}

async function waitUntil(what, condition) {
  const end = Date.now() + DEADLINE_MS
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS / 1000} s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

function client(name, version) {
  console.log(`CLIENT ${name} ${version}`)
}

// Runs one step and prints its line; a failure does not stop the steps after it.
async function step(name, action) {
  try {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done within ${(3 * DEADLINE_MS) / 1000} s`)), 3 * DEADLINE_MS)
    })
    await Promise.race([action(), late])
    clearTimeout(timer)
    console.log(`STEP ${name} ok`)
  } catch (e) {
    failed = true
    console.error(e)
    console.log(`STEP ${name} fail ${String(e.message).replace(/\n/g, ' ')}`)
  }
}

function finish() {
  process.exit(failed ? 1 : 0)
}

module.exports = { bootstrap, prefix, PARTITIONS, records, compare, waitUntil, client, step, finish }
