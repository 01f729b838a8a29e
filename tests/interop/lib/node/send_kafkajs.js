// Sends records with kafkajs and says what became of each: the contract is in ../../README.md.
//
// kafkajs makes a batch of what one call hands over, so records go in chunks. Codecs beside gzip are plug-ins.

const fs = require('fs')
const { CompressionCodecs, CompressionTypes, Kafka, Partitioners, logLevel } = require('kafkajs')
const { version } = require('kafkajs/package.json')
const LZ4Codec = require('kafkajs-lz4')
const SnappyCodec = require('kafkajs-snappy')
const ZstdCodec = require('@kafkajs/zstd')

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec
CompressionCodecs[CompressionTypes.LZ4] = new LZ4Codec().codec
CompressionCodecs[CompressionTypes.ZSTD] = ZstdCodec()

const CODECS = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }
const ACKS = { 0: 0, 1: 1, all: -1 }
// How long after the records' own time-out the program gives up on answers.
const GRACE_MS = 8000
const CHUNK_MAX = 100
// With acks=0 the last batch is still on its way when its call returns.
const SETTLE_MS = 500
// Further errors are only counted.
const ERRORS_MAX = 1000
// What became of a record; at first it is neither.
const DELIVERED = 1
const FAILED = 2

const spec = JSON.parse(fs.readFileSync(0, 'utf8'))
const lines = spec.records ? fs.readFileSync(spec.records, 'utf8').split('\n').filter(Boolean) : []
const count = spec.numbers ?? lines.length
// By record. A byte each: there may be a million.
const outcomes = new Uint8Array(count)
const generalErrors = []
const errors = []

main()

async function main() {
  const late = sleep(spec.timeout_ms + GRACE_MS)
  const shares = [...Array(spec.producers).keys()].map(first =>
    sendShare(first).catch(error => generalErrors.push(errorOf(null, error)))
  )
  await Promise.race([Promise.all(shares), late])
  print()
  // Producers may still be trying.
  process.exit(0)
}

async function sendShare(first) {
  const producer = producerOf()
  await producer.connect()
  const chunkMax = spec.pause_ms > 0 ? 1 : CHUNK_MAX
  for (let at = first; at < count; at += chunkMax * spec.producers) {
    await sleep(spec.pause_ms)
    await sendChunk(producer, chunkFrom(at, chunkMax))
  }
  await sleep(spec.acks === '0' ? SETTLE_MS : 0)
  await producer.disconnect()
}

// The next records of a share, by their numbers.
function chunkFrom(first, length) {
  const all = [...Array(length).keys()].map(at => first + at * spec.producers)
  return all.filter(index => index < count)
}

async function sendChunk(producer, chunk) {
  try {
    await producer.send({
      topic: spec.topic,
      acks: ACKS[spec.acks],
      timeout: spec.timeout_ms,
      compression: CompressionTypes[CODECS[spec.codec]],
      messages: chunk.map(messageOf),
    })
    chunk.forEach(index => (outcomes[index] = DELIVERED))
  } catch (error) {
    chunk.forEach(index => noteFailure(index, errorOf(index, error)))
  }
}

function noteFailure(index, error) {
  outcomes[index] = FAILED
  if (errors.length < ERRORS_MAX) errors.push(error)
}

function producerOf() {
  const kafka = new Kafka({
    clientId: 'sluice-test',
    brokers: [spec.bootstrap],
    ssl: { ca: [fs.readFileSync(spec.ca, 'utf8')] },
    sasl: { mechanism: 'plain', username: spec.user, password: spec.password },
    connectionTimeout: spec.timeout_ms,
    requestTimeout: spec.timeout_ms,
    // Nearly one a second, until the records' time-out.
    retry: { initialRetryTime: 200, maxRetryTime: 1000, retries: Math.round(spec.timeout_ms / 1000) },
    logLevel: logLevel.NOTHING,
  })
  return kafka.producer({
    createPartitioner: Partitioners.DefaultPartitioner,
    idempotent: spec.idempotent,
    maxInFlightRequests: spec.idempotent ? 1 : undefined,
  })
}

function messageOf(index) {
  if (spec.numbers) return { key: null, value: String(index), timestamp: String(Date.now()) }
  const { key, value, headers, timestamp_ms: timestamp } = JSON.parse(lines[index])
  // A header without a value goes out as empty: this client has no null there.
  const named = headers.map(([name, bytes]) => [name, bytesOf(bytes) ?? Buffer.alloc(0)])
  return { key: bytesOf(key), value: bytesOf(value), headers: Object.fromEntries(named), timestamp: String(timestamp) }
}

function bytesOf(text) {
  return text === null ? null : Buffer.from(text, 'base64')
}

function errorOf(record, error) {
  let named = error
  while (named.code === undefined && named.cause) named = named.cause
  const code = Number.isInteger(named.code) ? named.code : null
  return { record, code, name: named.name, text: error.message }
}

function print() {
  outcomes.forEach((outcome, index) => {
    const late = { record: index, code: null, name: 'NoAnswer', text: 'no outcome before the deadline' }
    if (outcome !== DELIVERED && outcome !== FAILED) noteFailure(index, late)
  })
  const delivered = outcomes.filter(outcome => outcome === DELIVERED).length
  fs.writeSync(1, JSON.stringify({ delivered, errors: [...generalErrors, ...errors], library: 'kafkajs', version }) + '\n')
}

function sleep(ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}
