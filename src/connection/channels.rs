//! The channels of a connection: their numbers, and what each message means to which (RFC 4254 §5).

use super::channel::{ChannelState, Half, MAXIMUM_PACKET_SIZE, STDERR, Stage};
use super::channel_type::ChannelType;
use super::event::ChannelEvent;
use super::forward::Expected;
use super::growth::{Growth, RoundTrip};
use super::request::Request;
use crate::transport::{Error, KexSide, Misuse, Transport, UNEXPECTED_MESSAGE};
use crate::userauth::{Authenticated, Permissions};
use crate::wire::message::{
    ChannelClose, ChannelData, ChannelEof, ChannelExtendedData, ChannelFailure, ChannelOpen,
    ChannelOpenConfirmation, ChannelOpenFailure, ChannelRequest, ChannelSuccess, ChannelWindowAdjust,
};
use crate::wire::number::Sender;
use crate::wire::{Decode, Encode, Fault};

/// A message for a channel that is not open.
pub const UNKNOWN_CHANNEL: Fault = Fault::protocol("recipient_channel is not open");
/// A session, after the client said that it opens none any more.
pub const SESSION_AFTER_NO_MORE: Fault = Fault::protocol("a session after no-more-sessions");
/// A peer that lets nothing be sent.
pub const NO_PACKET_SIZE: Fault = Fault::protocol("maximum_packet_size is 0");

/// No channel has this id.
pub const NO_SUCH_CHANNEL: Misuse = Misuse("no such channel");
/// As many channels are open as the configuration allows.
pub const TOO_MANY_CHANNELS: Misuse = Misuse("too many channels are open");

/// SSH_OPEN_ADMINISTRATIVELY_PROHIBITED and the others (RFC 4254 §5.1).
pub const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
/// The connection that the channel is for was not made.
pub const CONNECT_FAILED: u32 = 2;
/// The channel type is not known here.
pub const UNKNOWN_CHANNEL_TYPE: u32 = 3;
/// Too many are open.
pub const RESOURCE_SHORTAGE: u32 = 4;

/// A reason why a channel was not opened, in words.
#[must_use]
pub const fn open_failure(reason_code: u32) -> &'static str {
    match reason_code {
        ADMINISTRATIVELY_PROHIBITED => "administratively prohibited",
        CONNECT_FAILED => "connect failed",
        UNKNOWN_CHANNEL_TYPE => "unknown channel type",
        RESOURCE_SHORTAGE => "resource shortage",
        _ => "unknown reason",
    }
}

/// Channels that a peer asked for and that wait for the application.
pub const OFFERED_MAX: usize = 16;

/// Bounds of what channels cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelLimits {
    /// Channels open at a time, those being opened or closed included.
    pub channels_max: usize,
    /// `initial_window_size` of each (bytes).
    pub window_size: u32,
    /// What the window of one grows to (bytes), twice as much each time, as long as that lets more come in the same time, and a
    /// window takes less than [`GROWTH_PERIOD`](super::GROWTH_PERIOD) and two round trips.
    pub window_max: u32,
    /// What the windows of all have grown by, together, at the most (bytes).
    pub growth_max: u32,
}

impl Default for ChannelLimits {
    /// 64 channels, 2 MiB each and up to 16 MiB, 32 MiB of growth.
    fn default() -> Self {
        Self { channels_max: 64, window_size: 2 << 20, window_max: 16 << 20, growth_max: 32 << 20 }
    }
}

/// Names a channel for as long as it lives; that of a channel that is gone names no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelId {
    /// Our number on the wire.
    pub(super) number: u32,
    generation: u32,
}

#[cfg(test)]
impl ChannelId {
    /// For tests of what has one and no connection.
    pub(crate) const NONE: Self = Self { number: 0, generation: 0 };
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    channel: Option<ChannelState>,
}

/// Exists only for an authenticated user.
#[derive(Debug)]
pub(super) struct Channels {
    slots: Vec<Slot>,
    limits: ChannelLimits,
    growth: Growth,
    /// Where the round of [`poll_writable`](Self::poll_writable) goes on.
    next: usize,
    authenticated: Authenticated,
}

impl Channels {
    pub(super) fn new(authenticated: Authenticated, limits: ChannelLimits, round_trip: RoundTrip) -> Self {
        let growth = Growth::new(limits.window_max, limits.growth_max, round_trip);
        Self { slots: Vec::new(), limits, growth, next: 0, authenticated }
    }

    #[cfg(test)]
    pub(super) fn set_round_trip(&mut self, round_trip: RoundTrip) {
        self.growth = Growth::new(self.limits.window_max, self.limits.growth_max, round_trip);
    }

    pub(super) fn permissions(&self) -> Option<&Permissions> {
        self.authenticated.permissions()
    }

    pub(super) fn get(&mut self, id: ChannelId) -> Option<&mut ChannelState> {
        let slot = self.slots.get_mut(id.number as usize)?;
        if slot.generation == id.generation { slot.channel.as_mut() } else { None }
    }

    /// A channel, and what its window may grow by.
    pub(super) fn act_on(&mut self, id: ChannelId) -> Option<(&mut ChannelState, &mut Growth)> {
        let slot = self.slots.get_mut(id.number as usize).filter(|slot| slot.generation == id.generation)?;
        Some((slot.channel.as_mut()?, &mut self.growth))
    }

    fn by_number(&mut self, number: u32) -> Option<(ChannelId, &mut ChannelState)> {
        let slot = self.slots.get_mut(number as usize)?;
        let id = ChannelId { number, generation: slot.generation };
        Some((id, slot.channel.as_mut()?))
    }

    /// A channel that both sides know to be open, for the messages that need one.
    fn open(&mut self, number: u32) -> Result<(ChannelId, &mut ChannelState), Error> {
        let found = self.by_number(number).filter(|(_, channel)| channel.stage == Stage::Open);
        found.ok_or_else(|| UNKNOWN_CHANNEL.into())
    }

    pub(super) fn insert(&mut self, stage: Stage) -> Option<(ChannelId, &mut ChannelState)> {
        let free = self.slots.iter().position(|slot| slot.channel.is_none());
        let index = free.unwrap_or(self.slots.len());
        if index >= self.limits.channels_max {
            return None;
        }
        if free.is_none() {
            self.slots.push(Slot { generation: 0, channel: None });
        }
        let number = u32::try_from(index).ok()?;
        let slot = self.slots.get_mut(index)?;
        let id = ChannelId { number, generation: slot.generation };
        Some((id, slot.channel.insert(ChannelState::new(stage, self.limits.window_size))))
    }

    pub(super) fn remove(&mut self, id: ChannelId) {
        if let Some(slot) = self.slots.get_mut(id.number as usize) {
            if let Some(channel) = slot.channel.take() {
                self.growth.give_back(channel.grown(self.limits.window_size));
            }
            slot.generation = slot.generation.wrapping_add(1);
        }
    }

    pub(super) const fn window_size(&self) -> u32 {
        self.limits.window_size
    }

    /// Credit that waited for the end of an exchange.
    pub(super) fn flush_credit<S: KexSide>(&mut self, transport: &mut Transport<S>) {
        for channel in self.slots.iter_mut().filter_map(|slot| slot.channel.as_mut()) {
            if channel.stage == Stage::Open {
                channel.flush_credit(transport);
            }
        }
    }

    pub(super) fn has_writable(&self) -> bool {
        self.slots.iter().filter_map(|slot| slot.channel.as_ref()).any(ChannelState::waits_for_room)
    }

    /// Whether another one was refused bytes that would go out now.
    pub(super) fn others_wait(&self, id: ChannelId) -> bool {
        let mut others = self.slots.iter().zip(0..).filter(|(_, number)| *number != id.number);
        others.any(|(slot, _)| slot.channel.as_ref().is_some_and(ChannelState::waits_for_room))
    }

    /// The next channel that was refused bytes and would take some now, in turn.
    pub(super) fn poll_writable(&mut self) -> Option<ChannelId> {
        let (before, after) = self.slots.split_at_mut_checked(self.next)?;
        let first = self.next;
        let mut round = after.iter_mut().zip(first..).chain(before.iter_mut().zip(0..));
        let (slot, index) =
            round.find(|(slot, _)| slot.channel.as_ref().is_some_and(ChannelState::waits_for_room))?;
        let id = ChannelId { number: u32::try_from(index).ok()?, generation: slot.generation };
        slot.channel.as_mut()?.named();
        self.next = index + 1;
        Some(id)
    }

    /// Takes a message of numbers 90 to 100.
    pub(super) fn handle<'b, S: KexSide>(
        &mut self,
        payload: &'b [u8],
        expected: &Expected,
        transport: &mut Transport<S>,
    ) -> Result<Option<(ChannelId, ChannelEvent<'b>)>, Error> {
        match payload.first().copied().unwrap_or_default() {
            ChannelData::NUMBER => {
                let message = ChannelData::from_payload(payload)?;
                self.handle_data(message.recipient_channel, None, message.data, transport)
            }
            ChannelExtendedData::NUMBER => {
                let ChannelExtendedData { recipient_channel, data_type_code, data } =
                    ChannelExtendedData::from_payload(payload)?;
                self.handle_data(recipient_channel, Some(data_type_code), data, transport)
            }
            ChannelWindowAdjust::NUMBER => {
                let message = ChannelWindowAdjust::from_payload(payload)?;
                if let Some((_, channel)) = self.by_number(message.recipient_channel) {
                    channel.adjust_remote_window(message.bytes_to_add)?;
                }
                Ok(None)
            }
            ChannelRequest::NUMBER => self.handle_request(ChannelRequest::from_payload(payload)?, transport),
            ChannelSuccess::NUMBER => {
                Ok(self.handle_reply(ChannelSuccess::from_payload(payload)?.recipient_channel, true))
            }
            ChannelFailure::NUMBER => {
                Ok(self.handle_reply(ChannelFailure::from_payload(payload)?.recipient_channel, false))
            }
            ChannelEof::NUMBER => {
                let (id, channel) = self.open(ChannelEof::from_payload(payload)?.recipient_channel)?;
                let news = channel.inbound == Half::Open && channel.outbound != Half::Closed;
                channel.inbound = Half::Eof;
                Ok(news.then_some((id, ChannelEvent::Eof)))
            }
            ChannelClose::NUMBER => {
                let (id, channel) = self.open(ChannelClose::from_payload(payload)?.recipient_channel)?;
                channel.close(transport);
                self.remove(id);
                Ok(Some((id, ChannelEvent::Closed)))
            }
            ChannelOpen::NUMBER => {
                self.handle_open(&ChannelOpen::from_payload(payload)?, expected, transport)
            }
            ChannelOpenConfirmation::NUMBER => {
                let message = ChannelOpenConfirmation::from_payload(payload)?;
                let (id, channel) = self.opening(message.recipient_channel)?;
                if message.maximum_packet_size == 0 {
                    return Err(NO_PACKET_SIZE.into());
                }
                channel.stage = Stage::Open;
                channel.remote_channel = message.sender_channel;
                channel.remote_window = message.initial_window_size;
                channel.remote_packet_max = message.maximum_packet_size;
                Ok(Some((id, ChannelEvent::Opened)))
            }
            ChannelOpenFailure::NUMBER => {
                let ChannelOpenFailure { recipient_channel, reason_code, description, .. } =
                    ChannelOpenFailure::from_payload(payload)?;
                let (id, _) = self.opening(recipient_channel)?;
                self.remove(id);
                Ok(Some((id, ChannelEvent::OpenFailure { reason_code, description })))
            }
            _ => Err(UNEXPECTED_MESSAGE.into()),
        }
    }

    /// A channel that we asked for.
    fn opening(&mut self, number: u32) -> Result<(ChannelId, &mut ChannelState), Error> {
        let found = self.by_number(number).filter(|(_, channel)| channel.stage == Stage::Opening);
        found.ok_or_else(|| UNKNOWN_CHANNEL.into())
    }

    fn handle_data<'b, S: KexSide>(
        &mut self,
        recipient_channel: u32,
        data_type_code: Option<u32>,
        data: &'b [u8],
        transport: &mut Transport<S>,
    ) -> Result<Option<(ChannelId, ChannelEvent<'b>)>, Error> {
        let (id, channel) = self.open(recipient_channel)?;
        // Only a server has a standard error (RFC 4254 §5.2).
        let known = data_type_code.is_none_or(|code| code == STDERR && S::ROLE == Sender::Client);
        let wanted = channel.receive(data.len(), known)?;
        channel.flush_credit(transport); // with less of its window left, the peer may need what was not worth a message
        if !wanted {
            return Ok(None);
        }
        let event = match data_type_code {
            None => ChannelEvent::Data { data },
            Some(_) => ChannelEvent::Stderr { data },
        };
        Ok(Some((id, event)))
    }

    fn handle_request<'b, S: KexSide>(
        &mut self,
        message: ChannelRequest<'b>,
        transport: &mut Transport<S>,
    ) -> Result<Option<(ChannelId, ChannelEvent<'b>)>, Error> {
        let ChannelRequest { recipient_channel, request_type, want_reply, type_fields } = message;
        let (id, channel) = self.open(recipient_channel)?;
        let sender = match S::ROLE {
            Sender::Client => Sender::Server,
            Sender::Server => Sender::Client,
        };
        let request = Request::decode(request_type, type_fields, sender)?;
        let asked = channel.handle_request(request.as_ref(), want_reply, transport)?;
        Ok(request.filter(|_| asked).map(|request| (id, ChannelEvent::Request { request, want_reply })))
    }

    fn handle_reply<'b>(
        &mut self,
        recipient_channel: u32,
        success: bool,
    ) -> Option<(ChannelId, ChannelEvent<'b>)> {
        let (id, channel) = self.by_number(recipient_channel)?;
        channel.handle_reply().then_some((id, ChannelEvent::Reply { success }))
    }

    fn handle_open<'b, S: KexSide>(
        &mut self,
        message: &ChannelOpen<'b>,
        expected: &Expected,
        transport: &mut Transport<S>,
    ) -> Result<Option<(ChannelId, ChannelEvent<'b>)>, Error> {
        let refusal = match ChannelType::decode(message, S::ROLE, expected)? {
            Ok(ChannelType::Session) if expected.no_more_sessions => {
                return Err(SESSION_AFTER_NO_MORE.into());
            }
            Ok(_) if message.maximum_packet_size == 0 || self.offered() >= OFFERED_MAX => RESOURCE_SHORTAGE,
            Ok(channel_type) => match self.insert(Stage::Offered) {
                Some((id, channel)) => {
                    channel.session = channel_type == ChannelType::Session;
                    channel.remote_channel = message.sender_channel;
                    channel.remote_window = message.initial_window_size;
                    channel.remote_packet_max = message.maximum_packet_size;
                    return Ok(Some((id, ChannelEvent::OpenRequest { channel_type })));
                }
                None => RESOURCE_SHORTAGE,
            },
            Err(reason_code) => reason_code,
        };
        transport.reply(&ChannelOpenFailure {
            recipient_channel: message.sender_channel,
            reason_code: refusal,
            description: b"",
            language_tag: b"",
        })?;
        Ok(None)
    }

    /// Channels that wait for the application.
    fn offered(&self) -> usize {
        let channels = self.slots.iter().filter_map(|slot| slot.channel.as_ref());
        channels.filter(|channel| channel.stage == Stage::Offered).count()
    }

    /// Answers the peer who asked for a channel.
    pub(super) fn accept<S: KexSide>(
        &mut self,
        id: ChannelId,
        transport: &mut Transport<S>,
    ) -> Result<(), Error> {
        let initial_window_size = self.window_size();
        let channel = self.get(id).filter(|c| c.stage == Stage::Offered).ok_or(NO_SUCH_CHANNEL)?;
        channel.stage = Stage::Open;
        transport.reply(&ChannelOpenConfirmation {
            recipient_channel: channel.remote_channel,
            sender_channel: id.number,
            initial_window_size,
            maximum_packet_size: MAXIMUM_PACKET_SIZE,
            type_fields: b"",
        })
    }

    /// A door for tests: how each channel stands, outbound half first.
    #[cfg(test)]
    pub(super) fn state(&self) -> String {
        let state = |channel: &ChannelState| match channel.stage {
            Stage::Open => {
                let marks = channel.marks().join("");
                format!("{:?}/{:?}{marks}", channel.outbound, channel.inbound)
            }
            stage => format!("{stage:?}"),
        };
        let channels: Vec<_> =
            self.slots.iter().filter_map(|slot| slot.channel.as_ref()).map(state).collect();
        if channels.is_empty() { "no channel".to_owned() } else { channels.join(", ") }
    }

    /// Refuses the peer who asked for a channel.
    pub(super) fn refuse<S: KexSide>(
        &mut self,
        id: ChannelId,
        reason_code: u32,
        description: &str,
        transport: &mut Transport<S>,
    ) -> Result<(), Error> {
        let channel = self.get(id).filter(|c| c.stage == Stage::Offered).ok_or(NO_SUCH_CHANNEL)?;
        let recipient_channel = channel.remote_channel;
        self.remove(id);
        transport.reply(&ChannelOpenFailure {
            recipient_channel,
            reason_code,
            description: description.as_bytes(),
            language_tag: b"",
        })
    }
}
