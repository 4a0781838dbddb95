# Written by tools/blocking.py from petra/auth/__init__.py: change that, and run make blocking.
"""Signing in: state of OAuth, one-time codes, and accounts with passwords.

`petra.auth` is for asyncio, `petra.sync.auth` for threads. LoginService needs argon2-cffi: pip install "petra[auth]".
"""

from __future__ import annotations

from petra.auth.accounts import Account, AlreadyRegistered, LoginResult
from petra.auth.onetime import CodeCheck
from petra.auth.pkce import OAuthState, safe_return_path
from petra.sync.auth.codes import OneTimeCodes
from petra.sync.auth.login import LoginService
from petra.sync.auth.states import OAuthStates

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
