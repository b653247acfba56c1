//! Messages about channels, as far as they can be answered without any.

use super::field::{Message, message, part, text, uint32};

const CHANNEL: &str = "The channel.";

pub(in crate::api) static CHANNELS_REQUEST: Message = message(
    "ChannelsRequest",
    "Which channels to list.",
    &[text("pattern", 1, "Only channels whose name matches this pattern.")],
);

pub(in crate::api) static CHANNELS_RESULT: Message = message(
    "ChannelsResult",
    "Channels by their names.",
    &[part("channels", 1, &CHANNEL_INFO, "Channels by their names.").map().required()],
);

pub(in crate::api) static CHANNEL_INFO: Message =
    message("ChannelInfo", "A channel.", &[uint32("num_clients", 1, "Its subscribers.")]);

pub(in crate::api) static SUBSCRIBE_REQUEST: Message = message(
    "SubscribeRequest",
    "Whom to subscribe, and to what.",
    &[text("channel", 1, CHANNEL).required(), text("user", 2, "The user.")],
);

pub(in crate::api) static SUBSCRIBE_RESULT: Message =
    message("SubscribeResult", "They are subscribed.", &[]);

pub(in crate::api) static UNSUBSCRIBE_REQUEST: Message = message(
    "UnsubscribeRequest",
    "Whose subscription ends, and to what.",
    &[text("channel", 1, "The channel. Empty: every one."), text("user", 2, "The user.")],
);

pub(in crate::api) static UNSUBSCRIBE_RESULT: Message =
    message("UnsubscribeResult", "They are not subscribed.", &[]);
