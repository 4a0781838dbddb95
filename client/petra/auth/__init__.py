"""Signing in: state of OAuth, one-time codes, and accounts with passwords.

`petra.auth` is for asyncio, `petra.sync.auth` for threads. LoginService needs argon2-cffi: pip install "petra[auth]".
"""

from __future__ import annotations

from petra.auth.accounts import Account, AlreadyRegistered, LoginResult
from petra.auth.codes import OneTimeCodes
from petra.auth.login import LoginService
from petra.auth.onetime import CodeCheck
from petra.auth.pkce import OAuthState, safe_return_path
from petra.auth.states import OAuthStates

__all__ = [
    "Account",
    "AlreadyRegistered",
    "CodeCheck",
    "LoginResult",
    "LoginService",
    "OAuthState",
    "OAuthStates",
    "OneTimeCodes",
    "safe_return_path",
]
