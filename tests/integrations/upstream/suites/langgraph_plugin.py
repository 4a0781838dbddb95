"""Nothing is to be changed: the conformance suite of LangGraph is a package, see test_langgraph.py."""
