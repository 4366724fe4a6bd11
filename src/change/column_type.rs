//! The types columns are declared with: SQL names in any letter case, with the aliases that clients, PostgreSQL and
//! wal2json use for them.
//!
//! It knows names only: reading values is `value.rs`, and how a backend spells a type is the backend's matter.

use std::fmt;

/// The type of a column, or of the elements of an array column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnType {
    scalar: Scalar,
    is_array: bool,
}

/// A type that is no array. The precision of times is not kept: every column holds microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// 16 bits.
    SmallInt,
    /// 32 bits.
    Integer,
    /// 64 bits.
    BigInt,
    /// Exact decimals. No precision means as many digits as PostgreSQL holds; the scale is then 0 and says nothing.
    Numeric {
        /// Digits in all, 1 to 1000.
        precision: Option<u32>,
        /// Digits after the point, -1000 to 1000; below zero it rounds before the point, as in PostgreSQL 15.
        scale: i32,
    },
    /// A float of 32 bits.
    Real,
    /// A float of 64 bits.
    Double,
    /// Text of any length.
    Text,
    /// Text of at most so many characters.
    Varchar(Option<u32>),
    /// Text of so many characters, filled up with spaces that do not count.
    Char(u32),
    /// True or false.
    Boolean,
    /// A day.
    Date,
    /// A time of day.
    Time {
        /// With an offset from UTC.
        zone: bool,
    },
    /// A day and a time of day.
    Timestamp {
        /// A moment, kept in UTC.
        zone: bool,
    },
    /// A span of time.
    Interval,
    /// Bytes.
    Bytea,
    /// JSON, kept as written.
    Json,
    /// JSON, kept as what it means.
    Jsonb,
    /// 128 bits that name something.
    Uuid,
    /// A name nobody here knows, as written, brackets of an array included. Its values are kept as text.
    Unknown(Box<str>),
}

/// What kind of values a type holds. Families are what must agree between a declared type and a column's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Whole numbers.
    Whole,
    /// Exact decimals.
    Decimal,
    /// Binary floats.
    Float,
    /// Text.
    Text,
    /// True or false.
    Boolean,
    /// Days.
    Date,
    /// Times of day.
    Time,
    /// Days with a time of day.
    Timestamp,
    /// Spans of time.
    Interval,
    /// Bytes.
    Bytes,
    /// JSON.
    Json,
    /// UUIDs.
    Uuid,
    /// Types nobody here knows.
    Unknown,
}

impl ColumnType {
    /// Reads the name of a type. What nobody knows becomes [`Scalar::Unknown`].
    pub fn parse(name: &str) -> ColumnType {
        if let Some(scalar) = everyday(name) {
            return scalar.into();
        }
        let name = name.trim();
        known(name).unwrap_or_else(|| ColumnType { scalar: Scalar::Unknown(name.into()), is_array: false })
    }

    /// The type itself, or that of an array's elements.
    pub fn scalar(&self) -> &Scalar {
        &self.scalar
    }

    /// True for arrays, whatever their dimensions. An array of an unknown type is unknown as a whole.
    pub fn is_array(&self) -> bool {
        self.is_array
    }

    /// The type of an array's element; none for what is no array.
    pub fn element(&self) -> Option<ColumnType> {
        self.is_array.then(|| self.scalar.clone().into())
    }

    /// The family of the type, or of an array's elements.
    pub fn family(&self) -> Family {
        self.scalar.family()
    }

    /// True when values declared with this type can never go into a column of the type `column`. When it is false, the
    /// value decides: see [`ColumnType::admit`].
    pub fn conflicts_with(&self, column: &ColumnType) -> bool {
        let (declared, wanted) = (self.family(), column.family());
        if declared == Family::Unknown || wanted == Family::Unknown {
            return false;
        }
        let is_widening = declared == Family::Whole && matches!(wanted, Family::Decimal | Family::Float);
        self.is_array != column.is_array || declared != wanted && !is_widening
    }
}

/// The names that most documents use, as they are usually written: found without looking at words and brackets.
fn everyday(name: &str) -> Option<Scalar> {
    Some(match name {
        "INTEGER" | "integer" => Scalar::Integer,
        "TEXT" | "text" => Scalar::Text,
        "BIGINT" | "bigint" => Scalar::BigInt,
        "BOOLEAN" | "boolean" => Scalar::Boolean,
        "TIMESTAMP" | "timestamp without time zone" => Scalar::Timestamp { zone: false },
        "timestamp with time zone" => Scalar::Timestamp { zone: true },
        "double precision" => Scalar::Double,
        "bytea" => Scalar::Bytea,
        "jsonb" => Scalar::Jsonb,
        "uuid" => Scalar::Uuid,
        _ => return None,
    })
}

impl From<Scalar> for ColumnType {
    fn from(scalar: Scalar) -> Self {
        ColumnType { scalar, is_array: false }
    }
}

impl Scalar {
    /// The family this type belongs to.
    pub fn family(&self) -> Family {
        match self {
            Scalar::SmallInt | Scalar::Integer | Scalar::BigInt => Family::Whole,
            Scalar::Numeric { .. } => Family::Decimal,
            Scalar::Real | Scalar::Double => Family::Float,
            Scalar::Text | Scalar::Varchar(_) | Scalar::Char(_) => Family::Text,
            Scalar::Boolean => Family::Boolean,
            Scalar::Date => Family::Date,
            Scalar::Time { .. } => Family::Time,
            Scalar::Timestamp { .. } => Family::Timestamp,
            Scalar::Interval => Family::Interval,
            Scalar::Bytea => Family::Bytes,
            Scalar::Json | Scalar::Jsonb => Family::Json,
            Scalar::Uuid => Family::Uuid,
            Scalar::Unknown(_) => Family::Unknown,
        }
    }
}

/// The words of a type's name, lower-case and one space apart, without what stands in brackets.
struct Words {
    bytes: [u8; Words::LENGTH_MAX],
    length: usize,
}

impl Words {
    /// Longer than every known name: `interval` with all its fields has 30 bytes.
    const LENGTH_MAX: usize = 40;

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.length)? = byte;
        self.length += 1;
        Some(())
    }

    fn ends_a_word(&self) -> bool {
        self.length > 0 && self.bytes[self.length - 1] != b' '
    }
}

/// The numbers in parentheses behind a type's name.
#[derive(Default)]
struct Modifiers {
    numbers: [i32; 2],
    count: usize,
}

fn known(name: &str) -> Option<ColumnType> {
    let bytes = name.as_bytes();
    let mut words = Words { bytes: [0; Words::LENGTH_MAX], length: 0 };
    let mut modifiers = Modifiers::default();
    let mut is_array = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'[' => {
                let end = at + bytes[at..].iter().position(|byte| *byte == b']')?;
                bytes[at..end].iter().all(u8::is_ascii_digit).then_some(())?;
                is_array = true;
                at = end + 1;
            }
            b' ' | b'\t' if !words.ends_a_word() => {}
            b' ' | b'\t' => words.push(b' ')?,
            _ if is_array => return None,
            b'(' if modifiers.count > 0 => return None,
            b'(' => {
                let end = at + bytes[at..].iter().position(|byte| *byte == b')')?;
                for number in name[at..end].split(',') {
                    *modifiers.numbers.get_mut(modifiers.count)? = number.trim().parse().ok()?;
                    modifiers.count += 1;
                }
                at = end + 1;
                // In `timestamp(3) with time zone` a space follows, in `time(6)with time zone` it need not.
                if words.ends_a_word() {
                    words.push(b' ')?;
                }
            }
            b'a'..=b'z' | b'0'..=b'9' | b'_' => words.push(byte)?,
            b'A'..=b'Z' => words.push(byte | 0x20)?,
            _ => return None,
        }
    }
    let mut base = words.bytes[..words.length].trim_ascii_end();
    if let Some(element) = base.strip_prefix(b"_").or_else(|| base.strip_suffix(b" array")) {
        base = element;
        is_array = true;
    }
    Some(ColumnType { scalar: scalar(base, &modifiers)?, is_array })
}

/// Finds a type by its words. The names of every day stand first.
fn scalar(base: &[u8], modifiers: &Modifiers) -> Option<Scalar> {
    let [first, _] = modifiers.numbers;
    let count = modifiers.count;
    let plain = |scalar| (count == 0).then_some(scalar);
    // MySQL's `int(11)` says how wide to print a number, nothing about the number.
    let width = |scalar| (count <= 1).then_some(scalar);
    let length = || (count == 1 && first > 0).then_some(first.unsigned_abs());
    match base {
        b"integer" | b"int" | b"int4" | b"serial" | b"serial4" => width(Scalar::Integer),
        b"text" | b"string" | b"citext" | b"name" => plain(Scalar::Text),
        b"bigint" | b"int8" | b"bigserial" | b"serial8" => width(Scalar::BigInt),
        b"character varying" | b"varchar" | b"char varying" => match count {
            0 => Some(Scalar::Varchar(None)),
            _ => Some(Scalar::Varchar(Some(length()?))),
        },
        b"timestamp" | b"timestamp without time zone" | b"datetime" => width(Scalar::Timestamp { zone: false }),
        b"timestamp with time zone" | b"timestamptz" => width(Scalar::Timestamp { zone: true }),
        b"numeric" | b"decimal" | b"dec" => numeric(modifiers),
        b"boolean" | b"bool" => plain(Scalar::Boolean),
        b"double precision" | b"double" | b"float8" => plain(Scalar::Double),
        b"float" => match (count, first) {
            (0, _) | (1, 25..=53) => Some(Scalar::Double),
            (1, 1..=24) => Some(Scalar::Real),
            _ => None,
        },
        b"real" | b"float4" => plain(Scalar::Real),
        b"date" => plain(Scalar::Date),
        b"jsonb" => plain(Scalar::Jsonb),
        b"json" => plain(Scalar::Json),
        b"uuid" => plain(Scalar::Uuid),
        b"bytea" | b"blob" => plain(Scalar::Bytea),
        b"smallint" | b"int2" | b"tinyint" | b"smallserial" | b"serial2" => width(Scalar::SmallInt),
        // Without a length, CHARACTER is one character, and bpchar is as many as you like.
        b"character" | b"char" if count == 0 => Some(Scalar::Char(1)),
        b"bpchar" if count == 0 => Some(Scalar::Text),
        b"character" | b"char" | b"bpchar" => Some(Scalar::Char(length()?)),
        b"time" | b"time without time zone" => width(Scalar::Time { zone: false }),
        b"time with time zone" | b"timetz" => width(Scalar::Time { zone: true }),
        _ => {
            let fields = base.strip_prefix(b"interval")?;
            let is_field = |word: &[u8]| {
                matches!(word, b"" | b"year" | b"month" | b"day" | b"hour" | b"minute" | b"second" | b"to")
            };
            if fields.first().is_some_and(|byte| *byte != b' ') || !fields.split(|byte| *byte == b' ').all(is_field) {
                return None;
            }
            width(Scalar::Interval)
        }
    }
}

fn numeric(modifiers: &Modifiers) -> Option<Scalar> {
    let [precision, scale] = modifiers.numbers;
    match modifiers.count {
        0 => Some(Scalar::Numeric { precision: None, scale: 0 }),
        _ if !(1..=1000).contains(&precision) || !(-1000..=1000).contains(&scale) => None,
        _ => Some(Scalar::Numeric { precision: Some(precision.unsigned_abs()), scale }),
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scalar.fmt(out)?;
        if self.is_array { out.write_str("[]") } else { Ok(()) }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Scalar::SmallInt => "SMALLINT",
            Scalar::Integer => "INTEGER",
            Scalar::BigInt => "BIGINT",
            Scalar::Numeric { precision: None, .. } => "NUMERIC",
            Scalar::Numeric { precision: Some(precision), scale } => {
                return write!(out, "NUMERIC({precision},{scale})");
            }
            Scalar::Real => "REAL",
            Scalar::Double => "DOUBLE PRECISION",
            Scalar::Text => "TEXT",
            Scalar::Varchar(None) => "CHARACTER VARYING",
            Scalar::Varchar(Some(length)) => return write!(out, "CHARACTER VARYING({length})"),
            Scalar::Char(length) => return write!(out, "CHARACTER({length})"),
            Scalar::Boolean => "BOOLEAN",
            Scalar::Date => "DATE",
            Scalar::Time { zone: false } => "TIME WITHOUT TIME ZONE",
            Scalar::Time { zone: true } => "TIME WITH TIME ZONE",
            Scalar::Timestamp { zone: false } => "TIMESTAMP WITHOUT TIME ZONE",
            Scalar::Timestamp { zone: true } => "TIMESTAMP WITH TIME ZONE",
            Scalar::Interval => "INTERVAL",
            Scalar::Bytea => "BYTEA",
            Scalar::Json => "JSON",
            Scalar::Jsonb => "JSONB",
            Scalar::Uuid => "UUID",
            Scalar::Unknown(name) => name,
        })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Family::Whole => "whole",
            Family::Decimal => "decimal",
            Family::Float => "float",
            Family::Text => "text",
            Family::Boolean => "boolean",
            Family::Date => "date",
            Family::Time => "time",
            Family::Timestamp => "timestamp",
            Family::Interval => "interval",
            Family::Bytes => "bytes",
            Family::Json => "json",
            Family::Uuid => "uuid",
            Family::Unknown => "unknown",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_spelling() {
        for (names, canonical) in [
            ("INTEGER|integer|Int|int4|serial|int(11)|  integer ", "INTEGER"),
            ("smallint|int2|tinyint|TINYINT(1)", "SMALLINT"),
            ("bigint|int8|BIGSERIAL", "BIGINT"),
            ("numeric|DECIMAL|dec", "NUMERIC"),
            ("numeric(30,12)|DECIMAL( 30 , 12 )|Numeric (30,12)", "NUMERIC(30,12)"),
            ("numeric(5)", "NUMERIC(5,0)"),
            ("numeric(3,-2)", "NUMERIC(3,-2)"),
            ("real|float4|float(24)", "REAL"),
            ("FLOAT|float8|float(53)|double|Double  Precision", "DOUBLE PRECISION"),
            ("text|string|name|citext|bpchar", "TEXT"),
            ("varchar|character varying", "CHARACTER VARYING"),
            ("VARCHAR(30)|character varying(30)|varchar (30)", "CHARACTER VARYING(30)"),
            ("char(3)|character(3)|bpchar(3)", "CHARACTER(3)"),
            ("char|CHARACTER", "CHARACTER(1)"),
            ("bool|BOOLEAN", "BOOLEAN"),
            ("date", "DATE"),
            ("time|time(6)|time without time zone", "TIME WITHOUT TIME ZONE"),
            ("timetz|time(6) with time zone", "TIME WITH TIME ZONE"),
            ("timestamp|datetime|timestamp(3) without time zone", "TIMESTAMP WITHOUT TIME ZONE"),
            ("timestamptz|TIMESTAMP WITH TIME ZONE|timestamp(3) with time zone", "TIMESTAMP WITH TIME ZONE"),
            ("interval|interval(3)|interval day to second(3)|INTERVAL YEAR TO MONTH", "INTERVAL"),
            ("bytea|BLOB", "BYTEA"),
            ("json", "JSON"),
            ("jsonb", "JSONB"),
            ("uuid", "UUID"),
            ("integer[]|integer[][]|_int4|INTEGER ARRAY|int[3]", "INTEGER[]"),
            ("text[]|_text", "TEXT[]"),
            ("character varying(30)[]", "CHARACTER VARYING(30)[]"),
            ("timestamp(3) with time zone[]|_timestamptz", "TIMESTAMP WITH TIME ZONE[]"),
        ] {
            for name in names.split('|') {
                let parsed = ColumnType::parse(name);
                assert_eq!(parsed.to_string(), canonical, "{name}");
                assert_ne!(parsed.family(), Family::Unknown, "{name}");
                assert_eq!(ColumnType::parse(canonical), parsed, "{canonical}");
                assert_eq!(parsed.element().is_some(), canonical.ends_with("[]"), "{name}");
            }
        }
    }

    #[test]
    fn what_nobody_knows_keeps_its_name() {
        for name in [
            "mood",
            "Bit(3)",
            "bit varying(3)",
            "varbit",
            "money",
            "inet",
            "xml",
            "tsvector",
            "int4range",
            "_mood",
            "geometry(Point,4326)",
            "\"schema_Type\"[]",
            "public.mood",
            "\"text\"",
            "",
            "integer)",
            "numeric(1001)",
            "numeric(1,2,3)",
            "varchar(0)",
            "varchar(x)",
            "float(54)",
            "intervals",
            "interval fortnight",
            "text[",
            "text[]x",
            "ünïcode",
            "(3)",
            "_",
            "text(3)(4)",
            "a name much longer than any type we know could ever have",
        ] {
            assert_eq!(ColumnType::parse(name).scalar(), &Scalar::Unknown(name.into()), "{name}");
            assert_eq!(ColumnType::parse(name).to_string(), name);
        }
    }

    #[test]
    fn only_other_families_conflict() {
        for (declared, column, conflicts) in [
            ("integer", "smallint", false),
            ("bigint", "numeric(3,1)", false),
            ("int", "real", false),
            ("numeric", "bigint", true),
            ("real", "numeric", true),
            ("text", "varchar(3)", false),
            ("text", "jsonb", true),
            ("date", "timestamp", true),
            ("timestamp", "timestamptz", false),
            ("text", "integer", true),
            ("mood", "integer", false),
            ("integer", "mood", false),
            ("mood[]", "text[]", false),
            ("integer[]", "integer", true),
            ("integer", "integer[]", true),
            ("integer[]", "numeric[]", false),
            ("integer[]", "text[]", true),
        ] {
            let found = ColumnType::parse(declared).conflicts_with(&ColumnType::parse(column));
            assert_eq!(found, conflicts, "{declared} into {column}");
        }
    }
}
