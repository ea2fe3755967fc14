// @confluentinc/kafka-javascript (librdkafka under KafkaJS's API): the scenario of ../README.md, part of `compat --full`.
'use strict'

const confluent = require('@confluentinc/kafka-javascript')
const { Kafka, PartitionAssigners, logLevel } = confluent.KafkaJS
const s = require('./scenario')

const kafka = new Kafka({ kafkaJS: { brokers: [s.bootstrap], logLevel: logLevel.NOTHING } })
const admin = kafka.admin()

async function create(topic) {
  await admin.createTopics({ topics: [{ topic, numPartitions: s.PARTITIONS, replicationFactor: 1 }] })
  await s.waitUntil(`${topic} has its partitions`, async () => {
    const topics = await admin.fetchTopicMetadata({ topics: [topic] }).catch(() => [])
    return topics.length === 1 && topics[0].partitions.length === s.PARTITIONS
  })
}

async function produce(topic, sent, options) {
  const producer = kafka.producer(options)
  await producer.connect()
  const messages = sent.map(r => ({
    key: r.key,
    value: r.value,
    partition: r.partition,
    headers: r.headers.length ? { tag: r.headers } : {},
  }))
  await producer.send({ topic, messages })
  await producer.disconnect()
}

function toRecord(partition, m) {
  const headers = m.headers && m.headers.tag ? [].concat(m.headers.tag).map(String) : []
  return { partition, key: m.key.toString(), value: m.value === null ? null : m.value.toString(), headers }
}

async function join(topic, groupId) {
  const member = { got: [], assigned: () => consumer.assignment().map(t => t.partition) }
  const consumer = kafka.consumer({
    kafkaJS: {
      groupId,
      fromBeginning: true,
      heartbeatInterval: 300,
      sessionTimeout: 10000,
      partitionAssigners: [PartitionAssigners.roundRobin],
    },
  })
  member.consumer = consumer
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      member.got.push(toRecord(partition, message))
    },
  })
  return member
}

async function roundTrip(name, options) {
  const topic = `${s.prefix}-${name}`
  await create(topic)
  const sent = s.records(name)
  // Nobody answers acks=0, so a broker that has not yet taken the lead loses those records rightly: it takes it first.
  await produce(topic, sent.slice(0, s.PARTITIONS), {})
  await produce(topic, sent.slice(s.PARTITIONS), options)
  const member = await join(topic, `${topic}-reader`)
  try {
    await s.waitUntil(`${sent.length} records`, () => member.got.length >= sent.length)
  } finally {
    await member.consumer.disconnect()
  }
  s.compare(sent, member.got)
}

async function rebalance() {
  const [topic, group] = [`${s.prefix}-rebalance`, `${s.prefix}-rebalance-group`]
  await create(topic)
  const a = await join(topic, group)
  await s.waitUntil('the first member has every partition', () => a.assigned().length === s.PARTITIONS)
  const b = await join(topic, group)
  await s.waitUntil('two members share the partitions', () => {
    const both = new Set([...a.assigned(), ...b.assigned()])
    return a.assigned().length === 2 && b.assigned().length === 2 && both.size === s.PARTITIONS
  })
  const sent = s.records('rebalance')
  await produce(topic, sent, {})
  await s.waitUntil('every record arrives', () => a.got.length + b.got.length >= sent.length)
  s.compare(sent, [...a.got, ...b.got])
  await a.consumer.disconnect()
  await s.waitUntil('the remaining member takes over', () => b.assigned().length === s.PARTITIONS)
  await b.consumer.disconnect()
}

async function commitResume() {
  const [topic, groupId] = [`${s.prefix}-commit`, `${s.prefix}-commit-group`]
  await create(topic)
  const sent = s.records('commit')
  await produce(topic, sent, {})
  const got = []
  for (const upTo of [sent.length / 2, sent.length]) {
    await readAndCommit(topic, groupId, upTo, got)
    const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
    const committed = partitions.reduce((sum, p) => sum + Math.max(Number(p.offset), 0), 0)
    if (committed !== upTo) throw new Error(`committed ${committed} of ${upTo}`)
  }
  s.compare(sent, got)
}

async function readAndCommit(topic, groupId, upTo, got) {
  const consumer = kafka.consumer({ kafkaJS: { groupId, fromBeginning: true, autoCommit: false } })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic] })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      if (got.length >= upTo) return
      got.push(toRecord(partition, message))
      await consumer.commitOffsets([{ topic, partition, offset: String(BigInt(message.offset) + 1n) }])
    },
  })
  try {
    await s.waitUntil(`${upTo} records`, () => got.length >= upTo)
  } finally {
    await consumer.disconnect()
  }
}

async function remove() {
  const topic = `${s.prefix}-none`
  await admin.deleteTopics({ topics: [topic] })
  await s.waitUntil(`${topic} is gone`, async () => !(await admin.listTopics()).includes(topic))
}

async function main() {
  const { version } = require('@confluentinc/kafka-javascript/package.json')
  s.client('@confluentinc/kafka-javascript', `${version} (librdkafka ${confluent.librdkafkaVersion})`)
  await admin.connect()
  await s.step('create', () => create(`${s.prefix}-created`))
  for (const codec of ['none', 'gzip', 'snappy', 'lz4', 'zstd']) {
    await s.step(codec, () => roundTrip(codec, { 'compression.codec': codec }))
  }
  await s.step('idempotent', () => roundTrip('idempotent', { 'enable.idempotence': true }))
  for (const acks of ['0', '1', 'all']) {
    await s.step(`acks-${acks}`, () => roundTrip(`acks-${acks}`, { acks }))
  }
  await s.step('rebalance', rebalance)
  await s.step('commit-resume', commitResume)
  await s.step('delete', remove)
  s.finish()
}

main()
