//! What order the deliveries of a webhook keep.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Which deliveries of a webhook wait for each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// None of them.
    #[default]
    None,
    /// All: one at a time.
    Webhook,
    /// Those of one ordering key; those without a key wait for nobody.
    Key,
}

impl Order {
    /// `None` where there is no order.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Order::None => None,
            Order::Webhook => Some("webhook"),
            Order::Key => Some("key"),
        }
    }

    /// As the database has it.
    pub fn of_name(name: Option<&str>) -> Option<Order> {
        match name {
            None => Some(Order::None),
            Some("webhook") => Some(Order::Webhook),
            Some("key") => Some(Order::Key),
            Some(_) => None,
        }
    }

    /// As an option or a file has it; a truth value says whether all deliveries keep their order.
    pub fn parse(text: &str) -> Result<Order, String> {
        match text {
            "true" => Ok(Order::Webhook),
            "false" | "off" | "none" => Ok(Order::None),
            text => Order::of_name(Some(text))
                .ok_or_else(|| format!("'{text}' is no order; write webhook, key, or false for none")),
        }
    }

    pub fn is_kept(self) -> bool {
        self != Order::None
    }
}

/// A truth value where it says all, so that programs that know no keys read it.
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
