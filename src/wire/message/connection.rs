//! Messages of the connection protocol (RFC 4254).

use super::messages;

messages! {
    /// RFC 4254 §4; the fields of the request follow to the end.
    GLOBAL_REQUEST GlobalRequest<'a> { request_name: string, want_reply: boolean, request_fields: remainder }
    /// RFC 4254 §4; what the request defines follows to the end.
    REQUEST_SUCCESS RequestSuccess<'a> { response_fields: remainder }
    /// RFC 4254 §4.
    REQUEST_FAILURE RequestFailure {}
    /// RFC 4254 §5.1; the fields of the type follow to the end.
    CHANNEL_OPEN ChannelOpen<'a> {
        channel_type: string,
        sender_channel: uint32,
        initial_window_size: uint32,
        maximum_packet_size: uint32,
        type_fields: remainder,
    }
    /// RFC 4254 §5.1; the fields of the type follow to the end.
    CHANNEL_OPEN_CONFIRMATION ChannelOpenConfirmation<'a> {
        recipient_channel: uint32,
        sender_channel: uint32,
        initial_window_size: uint32,
        maximum_packet_size: uint32,
        type_fields: remainder,
    }
    /// RFC 4254 §5.1.
    CHANNEL_OPEN_FAILURE ChannelOpenFailure<'a> {
        recipient_channel: uint32, reason_code: uint32, description: string, language_tag: string
    }
    /// RFC 4254 §5.2.
    CHANNEL_WINDOW_ADJUST ChannelWindowAdjust { recipient_channel: uint32, bytes_to_add: uint32 }
    /// RFC 4254 §5.2.
    CHANNEL_DATA ChannelData<'a> { recipient_channel: uint32, data: string }
    /// RFC 4254 §5.2.
    CHANNEL_EXTENDED_DATA ChannelExtendedData<'a> { recipient_channel: uint32, data_type_code: uint32, data: string }
    /// RFC 4254 §5.3.
    CHANNEL_EOF ChannelEof { recipient_channel: uint32 }
    /// RFC 4254 §5.3.
    CHANNEL_CLOSE ChannelClose { recipient_channel: uint32 }
    /// RFC 4254 §5.4; the fields of the request follow to the end.
    CHANNEL_REQUEST ChannelRequest<'a> {
        recipient_channel: uint32, request_type: string, want_reply: boolean, type_fields: remainder
    }
    /// RFC 4254 §5.4.
    CHANNEL_SUCCESS ChannelSuccess { recipient_channel: uint32 }
    /// RFC 4254 §5.4.
    CHANNEL_FAILURE ChannelFailure { recipient_channel: uint32 }
}
