//! The commented sluicegate.yaml that `sluicegate init` writes.
//!
//! It changes nothing by itself: as it stands it means what runs without a file, and every setting is there to uncomment.

/// The text of the file.
pub const TEMPLATE: &str = "\
# The configuration of Sluicegate. As it stands it means what runs without a file: remove a `# ` to change a setting.
# `sluicegate check` says what is wrong; docs/configuration.md says everything; ${NAME} takes an environment variable.

# listen: 127.0.0.1:8080                      # HOST:PORT of HTTP; 0.0.0.0 listens on every address
# data: sluicegate-data                       # the folder of the embedded journal and store, beside this file
# journal: sqlite://sluicegate-data/journal.db  # the durable log: a path relative to this file, or kafka://host:9092
# store: sqlite://sluicegate-data/store.db    # the database: a path relative to this file, or postgres://user:${PGPASSWORD}@host/db
# log: {level: info, format: text, access: false}  # text | json; access: a line for each request
# metrics: {push: {url: \"http://127.0.0.1:9091\", every: 15s}}  # a Pushgateway; /metrics is there without it
# limits: {tables_per_document: 100, columns_per_document: 1000, digits_unfolded_max: 10000}  # of what a document asks for

# read: {tables: [people, \"game.*\"]}          # what /v1/tables shows; without: what the streams write
# allowed_hosts: [gate.internal]              # names in `Host` besides localhost, for a proxy on this machine
# allowed_origins: [\"https://console.example\"]  # web pages that may post, delete and call actions

streams:
  # Inserts, updates and deletes, into tables.
  activities:
    takes: changes                            # changes | events
    routes: [/api/activities]                 # paths besides /v1/streams/activities
    reply: echo                               # receipt | echo | created: how a post to `routes` is answered
    # wait: 5s                                # with echo and created: the answer is the outcome, not only the judgement
    # forms: [activities, wal2json]           # told apart by shape
    # topic: activities                       # of the journal; it belongs to one stream
    # key: table                              # what stays in order: a JSON Pointer, or the table; else everything
    # keys: {item: [id]}                      # primary keys of tables that are created
    # key_columns: [id]                       # the key of changes that do not carry one
    # unknown_types: text                     # text | reject: a column type that nobody knows
    # on_failure: set-aside                   # set-aside | stop: a document that cannot be applied
    # allow:                                  # what documents may change
    #   tables: [\"*\"]                         # names or patterns, such as game.*
    #   operations: [insert, update, delete, truncate]
    #   create: true                          # tables and columns that are missing are created
    # cors: [\"https://shop.example\"]          # web pages that may post to it
    # document_bytes_max: 1MiB                # a larger document is refused
    # retention: {age: 7d, size: 10GiB}       # of the embedded journal; never what a reader still needs
    # duplicates_kept: 7d                     # how long an Idempotency-Key is remembered

  # Any JSON, into one table.
  events:
    takes: events
    table: events                             # without: kept in the journal only
    # document_column: document               # the column of the whole document
    # columns: {name: /name, age: {at: /age, type: integer}, kind: ce.type}  # values in columns of their own
    # misfit: reject                          # reject | \"null\": a value that its column cannot hold
    # document_index: true                    # makes searches within documents fast, in PostgreSQL
    # schema: event.schema.json               # a JSON Schema beside this file; without: any JSON
    # formats: annotate                       # annotate | assert: whether `format` in the schema is a rule
    # queries: true                           # /api/v1/query_… answer from the table; one stream may say so
    # key: /userId                            # what stays in order: a JSON Pointer
    # directories: [inbox]                    # folders whose files are published: .json, .ndjson, .jsonl, .yaml, .yml
    # actions:                                # routes that stand for an event
    #   GET /buy/{item}: {record: {userId: \"{query.user}\", item: \"{path.item}\"}, answer: \"{path.item} bought\"}

  # A topic that other programs write, applied as it is; nothing is taken in.
  # orders:
  #   takes: changes
  #   source: dbserver1.public.orders         # the topic, in place of `topic`
  #   from: beginning                         # beginning | end: where to begin the first time
";
