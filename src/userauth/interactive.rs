//! The questions and answers of `keyboard-interactive` (RFC 4256): lists in messages, with their bounds.

use crate::wire::message::{UserauthInfoRequest, UserauthInfoResponse};
use crate::wire::{DecodeError, Reader, Writer};
use zeroize::Zeroizing;

/// The method's name.
pub(super) const KEYBOARD_INTERACTIVE: &[u8] = b"keyboard-interactive";

/// The most prompts of one SSH_MSG_USERAUTH_INFO_REQUEST, and so the most responses.
pub const PROMPTS_MAX: usize = 32;

/// A question to the person at the client (RFC 4256 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prompt<'a> {
    /// The text. Of the server's where it was received: escape it before it is shown.
    pub prompt: &'a [u8],
    /// Whether the answer may be shown as it is typed.
    pub echo: bool,
}

/// The prompts of a request.
pub(super) fn prompts<'a>(request: &UserauthInfoRequest<'a>) -> Result<Vec<Prompt<'a>>, DecodeError> {
    let read = |r: &mut Reader<'a>| Ok(Prompt { prompt: r.string()?, echo: r.boolean()? });
    counted(request.num_prompts, request.prompts, read)
}

/// The responses of a client.
pub(super) fn responses(message: &UserauthInfoResponse<'_>) -> Result<Vec<Zeroizing<Vec<u8>>>, DecodeError> {
    let read = |r: &mut Reader<'_>| Ok(Zeroizing::new(r.string()?.to_vec()));
    counted(message.num_responses, message.responses, read)
}

/// `count` fields and nothing behind them. The count is checked before anything is reserved.
fn counted<'a, T>(
    count: u32,
    fields: &'a [u8],
    mut read: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = usize::try_from(count).ok().filter(|count| *count <= PROMPTS_MAX);
    let mut r = Reader::new(fields);
    let list = (0..count.ok_or(DecodeError::Invalid)?).map(|_| read(&mut r)).collect::<Result<_, _>>()?;
    r.finish()?;
    Ok(list)
}

/// The fields of prompts as they are sent.
pub(super) fn encode_prompts(prompts: &[Prompt<'_>]) -> Vec<u8> {
    let mut fields = Vec::new();
    let mut w = Writer::new(&mut fields);
    for Prompt { prompt, echo } in prompts {
        w.string(prompt);
        w.boolean(*echo);
    }
    fields
}

/// The fields of responses as they are sent.
pub(super) fn encode_responses(responses: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = responses.iter().map(|response| response.len() + 4).sum();
    let mut fields = Zeroizing::new(Vec::with_capacity(length)); // never moved, so wiped whole
    let mut w = Writer::new(&mut fields);
    responses.iter().for_each(|response| w.string(response));
    fields
}
