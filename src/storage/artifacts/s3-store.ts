import { Readable } from 'node:stream'
import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { type ArtifactStore, type ByteRange, isObject, pathOfPrefix, type StoredObject } from '../artifact-store.js'

export interface S3StoreOptions {
  readonly bucket: string
  /** URL of an S3-compatible service; empty: AWS. */
  readonly endpoint: string
  readonly region: string
  /** Whether downloads above 20 MB may be links to the service, which clients must then reach. */
  readonly hasLinks: boolean
  /** `REDIS_PREFIX`. */
  readonly prefix: string
  /** Number of the Redis database. */
  readonly database: number
  /** A request on which nothing moves for this time is given up, in ms. Default: 60,000. */
  readonly idleMs?: number
}

/** Downloads up to this size are sent by hubs, so that pages need no access to the service. */
const MAX_SENT_BYTES = 20_000_000
const LINK_S = 60
/** The smallest parts that S3 accepts. An upload holds two of them in memory. */
const PART_BYTES = 5 * 1024 * 1024
const MARKER = '.store'
const CONNECT_MS = 5000
/** Maximum objects of one removal. */
const REMOVED_AT_ONCE = 1000

/** The packages of the AWS SDK, which a deployment with S3 installs. */
type Sdk = typeof import('@aws-sdk/client-s3') &
  Pick<typeof import('@aws-sdk/lib-storage'), 'Upload'> &
  Pick<typeof import('@aws-sdk/s3-request-presigner'), 'getSignedUrl'>

/**
 * Artifacts in a bucket of S3 or a compatible service, as `<prefix>/<database>/<job>/<generation>/<name>~<upload>`. The
 * SDK finds credentials in the environment. It is loaded by the first use.
 */
export class S3Store implements ArtifactStore {
  readonly place: string
  readonly maxUploads = 8
  readonly #options: S3StoreOptions
  readonly #root: string
  #opened: Promise<{ readonly sdk: Sdk; readonly client: S3Client }> | undefined

  constructor(options: S3StoreOptions) {
    const { bucket, endpoint, prefix, database } = options
    this.place = `the bucket ${bucket}${endpoint === '' ? '' : ` at ${endpoint}`} (ARTIFACTS_BUCKET)`
    this.#options = options
    this.#root = `${pathOfPrefix(prefix)}/${database}/`
  }

  async marker(): Promise<string | null> {
    const { sdk, client } = await this.#open()
    try {
      const { Body } = await client.send(new sdk.GetObjectCommand(this.#named(MARKER)))
      return (await Body?.transformToString()) ?? null
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  async mark(marker: string): Promise<string> {
    const { sdk, client } = await this.#open()
    try {
      await client.send(new sdk.PutObjectCommand({ ...this.#named(MARKER), Body: marker, IfNoneMatch: '*' }))
    } catch (error) {
      // Another process was faster.
      if (statusOf(error) !== 412 && statusOf(error) !== 409) throw error
    }
    return (await this.marker()) ?? marker
  }

  async put(object: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const { sdk, client } = await this.#open()
    const params = { ...this.#named(object), Body: Readable.from(content, { objectMode: false }), ContentType: 'application/octet-stream' }
    // Part by part: the size of the content is not known before its end. A failed upload leaves no parts.
    await new sdk.Upload({ client, params, partSize: PART_BYTES, queueSize: 1 }).done()
  }

  async open(object: string, range?: ByteRange): Promise<Readable | null> {
    const { sdk, client } = await this.#open()
    try {
      const Range = range && { Range: `bytes=${range.first}-${range.last}` }
      const { Body } = await client.send(new sdk.GetObjectCommand({ ...this.#named(object), ...Range }))
      return Body instanceof Readable ? Body : null
    } catch (error) {
      if (isMissing(error)) return null
      throw error
    }
  }

  async link(object: string, { name, bytes }: { readonly name: string; readonly bytes: number }): Promise<string | null> {
    if (!this.#options.hasLinks || bytes <= MAX_SENT_BYTES) return null
    const { sdk, client } = await this.#open()
    const asFile = { ResponseContentDisposition: `attachment; filename="${name}"`, ResponseContentType: 'application/octet-stream' }
    return sdk.getSignedUrl(client, new sdk.GetObjectCommand({ ...this.#named(object), ...asFile }), { expiresIn: LINK_S })
  }

  async remove(objects: readonly string[]): Promise<void> {
    if (objects.length === 0) return
    const { sdk, client } = await this.#open()
    for (let i = 0; i < objects.length; i += REMOVED_AT_ONCE) {
      const Objects = objects.slice(i, i + REMOVED_AT_ONCE).map((object) => ({ Key: this.#named(object).Key }))
      const { Errors = [] } = await client.send(
        new sdk.DeleteObjectsCommand({ Bucket: this.#options.bucket, Delete: { Objects, Quiet: true } }),
      )
      const [first] = Errors.filter(({ Code }) => Code !== 'NoSuchKey')
      if (first) throw new Error(`${first.Code ?? 'unknown error'}: ${first.Key ?? ''} cannot be removed`)
    }
  }

  async *list(under?: string): AsyncIterable<StoredObject> {
    const { sdk, client } = await this.#open()
    const Prefix = `${this.#root}${under === undefined ? '' : `${under}/`}`
    for await (const { Contents = [] } of sdk.paginateListObjectsV2({ client }, { Bucket: this.#options.bucket, Prefix })) {
      for (const { Key = '', Size = 0, LastModified } of Contents) {
        const object = Key.slice(this.#root.length)
        if (isObject(object)) yield { object, bytes: Size, storedAt: LastModified?.getTime() ?? Date.now() }
      }
    }
  }

  close(): void {
    void this.#opened?.then(
      ({ client }) => client.destroy(),
      () => {},
    )
  }

  #named(object: string): { Bucket: string; Key: string } {
    if (object !== MARKER && !isObject(object)) throw new TypeError(`${object} is no object of a store`)
    return { Bucket: this.#options.bucket, Key: `${this.#root}${object}` }
  }

  #open(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    this.#opened ??= this.#load().catch((error: unknown) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  async #load(): Promise<{ readonly sdk: Sdk; readonly client: S3Client }> {
    const { endpoint, region, idleMs = 60_000 } = this.#options
    const [client, { Upload }, { getSignedUrl }] = await Promise.all([
      import('@aws-sdk/client-s3'),
      import('@aws-sdk/lib-storage'),
      import('@aws-sdk/s3-request-presigner'),
    ])
    const sdk = { ...client, Upload, getSignedUrl }
    const config: S3ClientConfig = {
      region,
      ...(endpoint !== '' && { endpoint, forcePathStyle: true }),
      // By default a service that does not answer is awaited for ever.
      requestHandler: { connectionTimeout: CONNECT_MS, socketTimeout: idleMs },
      // Not every compatible service knows the newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
    }
    return { sdk, client: new sdk.S3Client(config) }
  }
}

function isMissing(error: unknown): boolean {
  return statusOf(error) === 404
}

function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode
}
