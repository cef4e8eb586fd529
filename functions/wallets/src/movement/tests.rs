//! The rules of movements.

use domain::currency::Currency;

use super::*;
use crate::currency_number::CurrencyNumber;

fn wallet(balance: i64) -> Wallet {
    Wallet {
        client_id: ClientId::new(1).unwrap(),
        id: WalletId::new(2).unwrap(),
        currency: CurrencyNumber(Currency::USD),
        balance,
        entries: 3,
        created_at: chrono::DateTime::UNIX_EPOCH,
    }
}

fn movement(amount: i64) -> MovementRequest {
    MovementRequest {
        wallet_id: WalletId::new(2).unwrap(),
        amount,
    }
}

#[test]
fn a_recharge_is_done_and_adds_up_to_the_largest_balance() {
    let made = movement(5).into_wallet(&wallet(i64::MAX - 5)).unwrap();
    assert_eq!(made.payment_status, PaymentStatus::Done);
    assert_eq!((made.amount.minor(), made.balance_after.minor()), (5, i64::MAX));
    let refused = movement(6).into_wallet(&wallet(i64::MAX - 5)).unwrap_err();
    assert!(matches!(refused, Error::BalanceTooLarge));
}

#[test]
fn a_withdrawal_is_pending_and_takes_at_most_the_balance() {
    let made = movement(10).out_of_wallet(&wallet(10)).unwrap();
    assert_eq!(made.payment_status, PaymentStatus::Pending);
    assert_eq!((made.amount.minor(), made.balance_after.minor()), (-10, 0));
    let refused = movement(11).out_of_wallet(&wallet(10)).unwrap_err();
    assert!(matches!(refused, Error::InsufficientFunds { balance } if balance.minor() == 10));
}

#[test]
fn an_amount_is_above_zero() {
    assert!(movement(1).check().is_ok());
    for amount in [0, -1, i64::MIN] {
        assert!(movement(amount).check().is_err(), "{amount}");
    }
}
