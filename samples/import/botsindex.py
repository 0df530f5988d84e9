# -*- coding: utf-8 -*-
import datetime
version = '3.2.0'
plugins = [
{'plugintype': 'channel', 'apop': False, 'host': u'pop.example.com', 'idchannel': u'mail_in', 'inorout': u'in', 'port': 110, 'remove': True, 'secret': u'', 'type': u'pop3', 'username': u'edi@example.com'},
{'plugintype': 'channel', 'apop': False, 'host': u'smtp.example.com', 'idchannel': u'mail_out', 'inorout': u'out', 'port': 587, 'remove': False, 'secret': u'', 'type': u'smtpstarttls', 'username': u'edi@example.com'},
{'plugintype': 'channel', 'idchannel': u'inhouse', 'inorout': u'out', 'path': u'botssys/outfile', 'type': u'file'},
{'plugintype': 'partner', 'active': True, 'cc': u'', 'group': [u'retail'], 'idpartner': u'BIRCHRETAIL', 'isgroup': False, 'mail': u'edi@birchretail.example', 'name': u'Birch Retail', 'phone1': u'+1 555 555 0101', 'startdate': datetime.date(2015, 1, 31)},
{'plugintype': 'partner', 'active': False, 'cc': u'copies@willow.example', 'group': [], 'idpartner': u'WILL', 'isgroup': False, 'mail': u'', 'name': u'Willow Freight', 'desc': u'Trucks.'},
{'plugintype': 'partner', 'active': True, 'group': [], 'idpartner': u'EXAMPLECO', 'isgroup': False, 'mail': u'edi@example.com', 'name': u'Example Co'},
{'plugintype': 'partner', 'active': True, 'group': [], 'idpartner': u'retail', 'isgroup': True, 'mail': u'', 'name': u'Retailers'},
{'plugintype': 'chanpar', 'cc': u'', 'idchannel': u'mail_out', 'idpartner': u'WILL', 'mail': u'dispatch@willow.example'},
{'plugintype': 'translate', 'active': True, 'alt': u'', 'fromeditype': u'x12', 'frommessagetype': u'850004010', 'frompartner': None, 'toeditype': u'xml', 'tomessagetype': u'orders', 'topartner': None, 'tscript': u'orders_x12'},
{'plugintype': 'translate', 'active': True, 'alt': u'', 'fromeditype': u'xml', 'frommessagetype': u'invoice', 'frompartner': None, 'toeditype': u'x12', 'tomessagetype': u'810004010', 'topartner': u'BIRCHRETAIL', 'tscript': u'invoice_x12'},
{'plugintype': 'translate', 'active': True, 'alt': u'', 'fromeditype': u'x12', 'frommessagetype': u'997004010', 'frompartner': None, 'toeditype': u'xml', 'tomessagetype': u'none', 'topartner': None, 'tscript': u'997'},
{'plugintype': 'routes', 'active': False, 'fromchannel': u'mail_in', 'fromeditype': u'x12', 'idroute': u'orders', 'seq': 1, 'tochannel': u'inhouse'},
{'plugintype': 'confirmrule', 'active': True, 'confirmtype': u'send-x12-997', 'negativerule': False, 'ruletype': u'all'},
{'plugintype': 'confirmrule', 'active': True, 'confirmtype': u'ask-x12-997', 'negativerule': False, 'ruletype': u'topartner', 'topartner': u'BIRCHRETAIL'},
{'plugintype': 'uniek', 'domein': u'isacounter_EXAMPLECO', 'nummer': 4711},
]
