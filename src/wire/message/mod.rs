//! One struct a message, its fields named and ordered as in the RFC.
//!
//! A message knows its number and its fields; when it may come stands in [`number`](super::number).

mod connection;
mod transport;
mod userauth;

pub use connection::*;
pub use transport::*;
pub use userauth::*;

use super::{DecodeError, Reader, Writer};

/// A message that can be sent.
pub trait Encode {
    /// Its first byte.
    const NUMBER: u8;
    /// Appends the fields after the number.
    fn encode(&self, w: &mut Writer<'_>);
}

/// A message that can be received.
pub trait Decode<'a>: Sized {
    /// Reads the fields after the number; what follows them is left in `r`.
    fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Reads a whole payload whose first byte was looked at already; nothing may follow the fields.
    fn from_payload(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(payload);
        r.byte()?;
        let message = Self::decode(&mut r)?;
        r.finish()?;
        Ok(message)
    }
}

/// Defines messages whose fields are all of one data type each.
macro_rules! messages {
    () => {};
    ($(#[$doc:meta])* $number:ident $name:ident <$life:lifetime> { $($fields:tt)* } $($rest:tt)*) => {
        messages!(@define [$(#[$doc])*] $number $name [<$life>] [<$life>] { $($fields)* });
        messages!($($rest)*);
    };
    ($(#[$doc:meta])* $number:ident $name:ident { $($fields:tt)* } $($rest:tt)*) => {
        messages!(@define [$(#[$doc])*] $number $name [] [] { $($fields)* });
        messages!($($rest)*);
    };
    // The lifetime comes twice: as tokens for the struct, and as one token tree to be repeated with each field.
    (@define [$($doc:tt)*] $number:ident $name:ident [$($life:tt)*] $l:tt { $($field:ident : $type:ident),* $(,)? }) => {
        $($doc)*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name $($life)* {
            $(
                #[doc = concat!("`", stringify!($type), "`")]
                pub $field: messages!(@type $type $l),
            )*
        }

        impl $($life)* $crate::wire::Encode for $name $($life)* {
            const NUMBER: u8 = $crate::wire::number::$number;
            fn encode(&self, w: &mut $crate::wire::Writer<'_>) {
                let _ = &w; // a message may have no fields
                $( messages!(@write w $type self.$field); )*
            }
        }

        impl $($life)* core::fmt::Debug for $name $($life)* {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut shown = f.debug_struct(stringify!($name));
                $( shown.field(stringify!($field), messages!(@show $type self.$field)); )*
                shown.finish()
            }
        }

        messages!(@decode $name $l { $($field : $type),* });
    };
    (@decode $name:ident [<$life:lifetime>] { $($field:ident : $type:ident),* }) => {
        impl<$life> $crate::wire::Decode<$life> for $name<$life> {
            fn decode(r: &mut $crate::wire::Reader<$life>) -> Result<Self, $crate::wire::DecodeError> {
                Ok(Self { $( $field: r.$type()? ),* })
            }
        }
    };
    (@decode $name:ident [] { $($field:ident : $type:ident),* }) => {
        impl<'a> $crate::wire::Decode<'a> for $name {
            fn decode(r: &mut $crate::wire::Reader<'a>) -> Result<Self, $crate::wire::DecodeError> {
                let _ = &r; // a message may have no fields
                Ok(Self { $( $field: r.$type()? ),* })
            }
        }
    };
    // What is not decoded here may be a secret.
    (@show remainder $value:expr) => { &format_args!("{} bytes", $value.len()) };
    (@show $type:ident $value:expr) => { &$value };
    (@type boolean $l:tt) => { bool };
    (@type uint32 $l:tt) => { u32 };
    (@type string [<$life:lifetime>]) => { &$life [u8] };
    (@type remainder [<$life:lifetime>]) => { &$life [u8] };
    (@type name_list [<$life:lifetime>]) => { $crate::wire::NameList<$life> };
    (@write $w:ident name_list $value:expr) => { $w.string($value.as_str().as_bytes()) };
    (@write $w:ident remainder $value:expr) => { $w.bytes($value) };
    (@write $w:ident $type:ident $value:expr) => { $w.$type($value) };
}
pub(crate) use messages;
