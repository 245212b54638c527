//! In which order the deliveries of a webhook are sent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which deliveries of a webhook wait for each other: an older one is sent, or given up, before a younger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    None,
    /// All: one at a time.
    Webhook,
    /// Those with the same ordering key. Deliveries without a key do not wait.
    Key,
}

impl Order {
    /// Its name in the database; NULL there for [`Order::None`].
    pub fn name(self) -> Option<&'static str> {
        match self {
            Order::None => None,
            Order::Webhook => Some("webhook"),
            Order::Key => Some("key"),
        }
    }

    /// Reads the database's name.
    pub fn of_name(name: Option<&str>) -> Option<Order> {
        match name {
            None => Some(Order::None),
            Some("webhook") => Some(Order::Webhook),
            Some("key") => Some(Order::Key),
            Some(_) => None,
        }
    }

    /// Reads the value of `--ordered` or of a file's key: `true` means `webhook`, `false` means none.
    pub fn parse(text: &str) -> Result<Order, String> {
        match text {
            "true" => Ok(Order::Webhook),
            "false" | "off" | "none" => Ok(Order::None),
            text => Order::of_name(Some(text))
                .ok_or_else(|| format!("'{text}' is not an order; write webhook, key, or false for none")),
        }
    }

    pub fn is_kept(self) -> bool {
        self != Order::None
    }
}

/// `true` and `false` where they suffice, so that readers that know a boolean only still work; `"key"` otherwise.
impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Order::None => serializer.serialize_bool(false),
            Order::Webhook => serializer.serialize_bool(true),
            Order::Key => serializer.serialize_str("key"),
        }
    }
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Order, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Order::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_it_is_written() {
        for order in [Order::None, Order::Webhook, Order::Key] {
            let json = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order, "{json}");
            assert_eq!(Order::of_name(order.name()), Some(order));
        }
        assert_eq!(serde_json::from_str::<Order>("\"webhook\"").unwrap(), Order::Webhook);
        assert!(Order::parse("keys").is_err() && serde_json::from_str::<Order>("1").is_err());
    }
}
