"""The front of the server, as browsers, proxies and supervisors meet it: CORS, names of the server, compression."""
import gzip
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import tempfile
