# Read by every make that builds a dependency (.cargo/config.toml): of librdkafka, only what is written in C is built.
override LIBSUBDIRS := src
